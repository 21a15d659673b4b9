package queen_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/apitest"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

func document(t *testing.T, url string) *apitest.Document {
	t.Helper()
	doc, err := apitest.Parse([]byte(get(t, url+openapi.Path)))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	want := []string{"GET " + openapi.Path}
	for _, route := range queen.New(queen.Config{}).Table() {
		if route.Doc.Summary == "" || len(route.Doc.Gives) == 0 {
			t.Errorf("%s %s is not described", route.Method, route.Path)
		}
		want = append(want, route.Method+" "+strings.Replace(route.Path, "...}", "}", 1))
	}
	slices.Sort(want)
	url, _ := startQueen(t, queen.Config{})
	if got := document(t, url).Operations(); !slices.Equal(got, want) {
		t.Errorf("the document has\n%q, want\n%q", got, want)
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	hive := modelServer(t, tells(`{"cores":4}`))
	hive.Kind, hive.ID = registry.Hive, "box"
	if _, err := registryClient(t, reg).Register(t.Context(), hive); err != nil {
		t.Fatal(err)
	}
	url, _ := startQueen(t, queen.Config{RegistryURL: reg, MaxWorkers: 3})
	doc := document(t, url)
	at := modelServer(t, tells(`{"context":1}`))
	worker := func(id, more string) string {
		return fmt.Sprintf(`{"worker_id":%q,"hostname":%q,"port":%d%s}`, id, at.Hostname, at.Port, more)
	}
	if _, _, answer := ask(t, "POST", url+"/v1/queen/register-worker", worker("told", "")); answer["worker_id"] != "told" {
		t.Fatalf("registered: %v", answer)
	}
	await(t, queenClient(t, url), "its capabilities are known", func(list []client.Worker) bool {
		return len(list) == 1 && list[0].CapabilitiesFrom == "worker" && strings.Contains(get(t, url+"/v1/queen/hives"), `"capabilities_from":"hive"`)
	})
	const old, young = `,"instance_id":"01JD0000000000000000000000"`, `,"instance_id":"01JD0000000000000000000001"`
	for _, q := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "register-worker", worker("w", young+`,"worker_type":"llm","model":"m","spawned_by":"gui","capabilities":{"a":1},"metadata":{"b":2}`), 200},
		{"POST", "register-worker", worker("w", old), 409},
		{"POST", "register-worker", worker("x", ""), 503},
		{"POST", "register-worker", `{"worker_id":"w","hostname":"localhost","port":0}`, 422},
		{"POST", "register-worker", `{`, 400},
		{"POST", "register-worker", `{"worker_id":"` + strings.Repeat("w", 70_000) + `"}`, 413},
		{"POST", "heartbeat", `{"worker_id":"w"}`, 200},
		{"POST", "heartbeat", `{"worker_id":"x"}`, 404},
		{"POST", "heartbeat", `{"worker_id":"w"` + old + `}`, 409},
		{"GET", "workers", "", 200},
		{"GET", "hives", "", 200},
		{"GET", "/health", "", 200},
		{"GET", "/capabilities", "", 200},
		{"GET", "/metrics", "", 200},
		{"DELETE", "workers/{id}?instance_id=01JD0000000000000000000000", "", 409},
		{"DELETE", "workers/{id}", "", 200},
		{"DELETE", "workers/{id}", "", 404},
	} {
		path := q.path
		if !strings.HasPrefix(path, "/") {
			path = "/v1/queen/" + path
		}
		status, header, body := whole(t, q.method, url+strings.Replace(path, "{id}", "w", 1), q.body)
		if status != q.status {
			t.Errorf("%s %s %.80s: %d, want %d: %s", q.method, path, q.body, status, q.status, body)
		}
		path, _, _ = strings.Cut(path, "?")
		if err := doc.Check(q.method+" "+path, status, header, body); err != nil {
			t.Error(err)
		}
	}
}

// The answers about what hives do for her are as described, the streams of events too.
func TestSpawnAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	m := newMachine(t, reg, "box", 8<<30, succeeds)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 1)
	doc := document(t, url)
	one := operationID(t, url, `{"model":"tiny"}`)
	for id, by := range map[string]string{"his": "hive-box", "hers": "gui", "lost": "hive-other"} {
		ask(t, "POST", url+"/v1/queen/register-worker", fmt.Sprintf(`{"worker_id":%q,"hostname":"localhost","port":9,"spawned_by":%q}`, id, by))
	}
	check := func(method, path, id, body string, status int) {
		t.Helper()
		got, header, answer := whole(t, method, url+strings.Replace(path, "{id}", id, 1), body)
		if got != status {
			t.Errorf("%s %s of %s %s: %d, want %d: %s", method, path, id, body, got, status, answer)
		}
		if err := doc.Check(method+" "+path, got, header, answer); err != nil {
			t.Error(err)
		}
	}
	const spawns, ops, stops = "/v1/queen/spawn-worker", "/v1/queen/operations", "/v1/queen/workers/{id}/stop"
	check("POST", spawns, "", `{"model":"tiny","engine":"llama-server","port":8080,"args":["-x"]}`, 202)
	check("POST", spawns, "", `{"hive_id":"other"}`, 422)
	check("POST", spawns, "", `{"model":"other.gguf"}`, 503)
	check("GET", ops, "", "", 200)
	check("GET", ops+"/{id}", one, "", 200)
	check("GET", ops+"/{id}/events", one, "", 200)
	check("GET", ops+"/{id}/events", "other", "", 404)
	check("GET", ops+"/{id}", "other", "", 404)
	check("DELETE", ops+"/{id}", one, "", 200)
	check("DELETE", ops+"/{id}", "other", "", 404)
	check("POST", stops, "his", "", 200)
	check("POST", stops, "hers", "", 409)
	check("POST", stops, "lost", "", 503)
	check("POST", stops, "other", "", 404)
	m.srv.Config.Handler = http.NotFoundHandler()
	check("POST", stops, "his", "", 502)
}

// operationID is the id of a spawn that has ended.
func operationID(t *testing.T, url, body string) string {
	t.Helper()
	_, end := spawn(t, url, body)
	return end.ID
}

// whole is ask, with all of the answer.
func whole(t *testing.T, method, url, body string) (status int, header http.Header, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, answer
}
