package server_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/apitest"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

func (a api) document() *apitest.Document {
	a.t.Helper()
	r := a.from(here, "GET", openapi.Path, "")
	if r.status != http.StatusOK {
		a.t.Fatalf("%s: %d %s", openapi.Path, r.status, r.body)
	}
	doc, err := apitest.Parse(r.body)
	if err != nil {
		a.t.Fatal(err)
	}
	return doc
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	want := []string{"GET " + openapi.Path}
	for _, route := range server.New(server.Config{}).Table() {
		if route.Doc.Summary == "" || len(route.Doc.Gives) == 0 {
			t.Errorf("%s %s is not described", route.Method, route.Path)
		}
		want = append(want, route.Method+" "+strings.TrimSuffix(route.Path, "{$}"))
	}
	slices.Sort(want)
	if got := newAPI(t, server.Config{}).document().Operations(); !slices.Equal(got, want) {
		t.Errorf("the document has\n%q, want\n%q", got, want)
	}
}

func TestTheDocumentIsSentOnce(t *testing.T) {
	t.Parallel()
	a := newAPI(t, server.Config{})
	tag := a.from(here, "GET", openapi.Path, "").header.Get("ETag")
	if r := a.from(here, "GET", openapi.Path, "", "If-None-Match", tag); r.status != http.StatusNotModified || len(r.body) > 0 {
		t.Errorf("who has it is answered with %d and %d bytes", r.status, len(r.body))
	}
}

// question is a request, and the status that it is to be answered with.
type question struct {
	method, path, body string
	status             int
	headers            []string
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, server.Config{MaxPerAddress: 1})
	doc := a.document()
	const worker = `{"worker_id":"w","instance_id":"01JD0000000000000000000001","hostname":"h","port":1,"worker_type":"llm","model":"m","metadata":{"zone":"a"}}`
	tag := a.get("hives").header.Get("ETag")
	for _, q := range []question{
		{"GET", "/v1/registry/queen", "", 404, nil},
		{"GET", "/v1/registry/components", "", 200, nil}, // of nobody
		{"GET", "/v1/registry/hives", "", 304, []string{"If-None-Match", tag}},
		{"POST", "/v1/registry/register", worker, 200, nil},
		{"POST", "/v1/registry/register", strings.Replace(worker, "0001", "0000", 1), 409, nil},
		{"POST", "/v1/registry/register", `{"components":[{"hive_id":"b","hostname":"h","port":2},{"hive_id":"c","hostname":"h","port":0},7]}`, 200, nil},
		{"POST", "/v1/registry/register", `{"component_type":"queen","hostname":"h","port":3}`, 200, nil},
		{"POST", "/v1/registry/register", `{"component_type":"queen","component_id":"q","hostname":"h","port":4}`, 409, nil},
		{"POST", "/v1/registry/register", `{"component_type":"gui","hostname":"h","port":5}`, 200, nil},
		{"POST", "/v1/registry/register", `{`, 400, nil},
		{"POST", "/v1/registry/register", `{"hive_id":"b","hostname":"h","port":"x"}`, 422, nil},
		{"POST", "/v1/registry/register", `{"hive_id":"` + strings.Repeat("b", 70_000) + `"}`, 413, nil},
		{"POST", "/v1/registry/heartbeat", `{"worker_id":"w"}`, 200, nil},
		{"POST", "/v1/registry/heartbeat", `{"worker_id":"x"}`, 404, nil},
		{"POST", "/v1/registry/heartbeat", `{"worker_id":"w","instance_id":"x"}`, 409, nil},
		{"POST", "/v1/registry/heartbeat", `{"components":[{"worker_id":"w"},{"worker_id":"w","instance_id":"x"},{"worker_id":"x"},{}]}`, 200, nil},
		{"GET", "/v1/registry/hives", "", 200, nil},
		{"GET", "/v1/registry/workers?metadata.zone=a&limit=1", "", 200, nil},
		{"GET", "/v1/registry/workers?limit=x", "", 422, nil},
		{"GET", "/v1/registry/queen", "", 200, nil},
		{"GET", "/v1/registry/components", "", 200, nil},
		{"GET", "/v1/registry/components?status=x", "", 422, nil},
		{"GET", "/v1/registry/prometheus-sd", "", 200, nil},
		{"GET", "/v1/registry/watch?wait=0s", "", 200, nil},         // a reset
		{"GET", "/v1/registry/watch?since=1&wait=0s", "", 200, nil}, // changes
		{"GET", "/v1/registry/watch?since=5&wait=0s", "", 200, nil}, // none
		{"GET", "/v1/registry/watch?wait=x", "", 422, nil},
		{"GET", "/", "", 200, nil},
		{"GET", "/health", "", 200, nil},
		{"GET", "/metrics", "", 200, nil},
		{"GET", openapi.Path, "", 200, nil},
		{"DELETE", "/v1/registry/unregister", `{"hive_id":"b"}`, 200, nil},
		{"DELETE", "/v1/registry/unregister", `{"hive_id":"b"}`, 404, nil},
	} {
		r := a.from(here, q.method, q.path, q.body, q.headers...)
		if r.status != q.status {
			t.Errorf("%s %s %.80s: %d, want %d: %s", q.method, q.path, q.body, r.status, q.status, r.body)
		}
		path, _, _ := strings.Cut(q.path, "?")
		if err := doc.Check(q.method+" "+path, r.status, r.header, r.body); err != nil {
			t.Error(err)
		}
	}
	for _, status := range []int{200, 429} { // a note, and one too many
		body := `{"hive_id":"` + http.StatusText(status) + `","hostname":"localhost","port":1}`
		r := a.from(there, "POST", "/v1/registry/register", body)
		if r.status != status {
			t.Errorf("from elsewhere: %d, want %d", r.status, status)
		}
		if err := doc.Check("POST /v1/registry/register", r.status, r.header, r.body); err != nil {
			t.Error(err)
		}
	}
}

// A whole stream: it begins, tells of changes, and ends with the registry.
func TestEventsAreAsDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server.New(server.Config{})
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		a := api{t, s.Handler()}
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1,"model":"m"}`))
		stream := make(chan reply)
		go func() { stream <- a.get("watch") }()
		synctest.Wait()
		a.want(200, a.post("register", `{"component_type":"queen","hostname":"h","port":2}`))
		time.Sleep(2 * time.Minute) // they fall silent, and expire
		leave()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r := <-stream
		for what, times := range map[string]int{"event: reset\n": 1, "event: change\n": 5, "event: bye\n": 1} {
			if got := strings.Count(string(r.body), what); got != times {
				t.Errorf("%q is there %d times, want %d", what, got, times)
			}
		}
		if err := a.document().Check("GET /v1/registry/watch", r.status, r.header, r.body); err != nil {
			t.Error(err)
		}
	})
}

// What Access refuses is described, too.
func TestRefusalsOfAccessAreAsDescribed(t *testing.T) {
	t.Parallel()
	url, client := start(t, server.Config{}), testClient(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/v1/registry/workers", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://evil.example")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := newAPI(t, server.Config{}).document().Check("GET /v1/registry/workers", resp.StatusCode, resp.Header, body); err != nil {
		t.Error(err)
	}
}
