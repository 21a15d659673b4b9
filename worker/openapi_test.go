package worker_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/apitest"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/worker"
)

func (r running) document(t *testing.T) *apitest.Document {
	t.Helper()
	_, _, text := r.whole(t, "GET", openapi.Path, "")
	doc, err := apitest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func (r running) whole(t *testing.T, method, path, body string) (status int, header http.Header, answer []byte) {
	t.Helper()
	resp := r.send(t, method, path, body)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, answer
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	want := []string{"GET " + openapi.Path}
	for _, route := range worker.New(worker.Config{}).Table() {
		if route.Doc.Summary == "" || len(route.Doc.Gives) == 0 {
			t.Errorf("%s %s is not described", route.Method, route.Path)
		}
		want = append(want, route.Method+" "+strings.Replace(route.Path, "...}", "}", 1))
	}
	slices.Sort(want)
	if got := start(t, worker.Config{}).document(t).Operations(); !slices.Equal(got, want) {
		t.Errorf("the document has\n%q, want\n%q", got, want)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	const chat, completions, embeddings = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
	type question struct {
		method, path, body string
		status             int
	}
	check := func(r running, doc *apitest.Document, q question) {
		t.Helper()
		status, header, body := r.whole(t, q.method, q.path, q.body)
		if status != q.status {
			t.Errorf("%s %s %.80s: %d, want %d: %s", q.method, q.path, q.body, status, q.status, body)
		}
		path := q.path
		if strings.HasPrefix(path, "/v1/models/") {
			path = "/v1/models/{id}"
		}
		if err := doc.Check(q.method+" "+path, status, header, body); err != nil {
			t.Error(err)
		}
	}
	r := startReady(t, worker.Config{Model: "tiny", ContextLength: 20})
	doc := r.document(t)
	for _, q := range []question{
		{"GET", "/health", "", 200},
		{"GET", "/capabilities", "", 200},
		{"GET", "/metrics", "", 200},
		{"GET", openapi.Path, "", 200},
		{"GET", "/v1/models", "", 200},
		{"GET", "/v1/models/tiny", "", 200},
		{"GET", "/v1/models/org/other", "", 404},
		{"POST", chat, helloChat, 200},
		{"POST", chat, `{"model":"tiny","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`, 200},
		{"POST", chat, `{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"a"}]}`, 200},
		{"POST", completions, `{"model":"tiny","prompt":["a","b"]}`, 200},
		{"POST", completions, `{"model":"tiny","prompt":"a","stream":true}`, 200},
		{"POST", embeddings, `{"model":"tiny","input":"a"}`, 200},
		{"POST", embeddings, `{"model":"tiny","input":["a","b"],"dimensions":4,"encoding_format":"base64"}`, 200},
		{"POST", chat, `{`, 400},
		{"POST", chat, `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("a ", 20) + `"}]}`, 400},
		{"POST", chat, `{"model":"other"}`, 404},
		{"POST", completions, `{"model":"` + strings.Repeat("x", httpd.MaxPrompt) + `"}`, 413},
		{"POST", embeddings, `{"model":"tiny","input":7}`, 422},
	} {
		check(r, doc, q)
	}
	var log lines
	r = start(t, worker.Config{Model: "tiny", Log: log.logger(), Faults: worker.Faults{FailOn: 1, UnhealthyAfter: time.Nanosecond}})
	log.await(t, "unhealthy from now on")
	check(r, doc, question{"POST", embeddings, `{"model":"tiny","input":"a"}`, 500})
	check(r, doc, question{"GET", "/health", "", 503})
	r = start(t, worker.Config{LoadTime: time.Hour})
	for _, q := range []question{{"GET", "/health", "", 503}, {"GET", "/v1/models", "", 503}, {"GET", "/v1/models/m", "", 503}, {"POST", chat, helloChat, 503}} {
		check(r, doc, q)
	}
}

// A stream that is cut ends as it is described, too.
func TestTheLastEventOfAStreamThatIsCut(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", Drain: time.Millisecond, TokensPerSecond: 0.001})
	resp := r.send(t, "POST", "/v1/chat/completions", strings.Replace(helloChat, "{", `{"stream":true,`, 1))
	defer resp.Body.Close()
	r.stop()
	body, err := io.ReadAll(resp.Body)
	if err == nil || !strings.Contains(string(body), "stopping") {
		t.Errorf("it ends with %v: %s", err, body)
	}
	other := start(t, worker.Config{})
	if err := other.document(t).Check("POST /v1/chat/completions", resp.StatusCode, resp.Header, body); err != nil {
		t.Error(err)
	}
	if err := other.document(t).Check("POST /v1/chat/completions", resp.StatusCode, resp.Header, fmt.Append(nil, "data: [END]\n\n")); err == nil {
		t.Error("any event will do")
	}
}
