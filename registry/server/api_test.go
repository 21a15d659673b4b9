package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

const (
	here  = "127.0.0.1:40000"
	there = "192.0.2.7:40000"
)

// api calls a registry's handler as a client at a given address would.
type api struct {
	t *testing.T
	h http.Handler
}

func newAPI(t *testing.T, cfg server.Config) api {
	t.Helper()
	return api{t, server.New(cfg).Handler()}
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (a api) from(remote, method, path, body string, headers ...string) reply {
	a.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = remote
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	a.h.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

func (a api) post(path, body string) reply {
	a.t.Helper()
	return a.from(here, "POST", "/v1/registry/"+path, body)
}

func (a api) unregister(body string) reply {
	a.t.Helper()
	return a.from(here, "DELETE", "/v1/registry/unregister", body)
}

func (a api) get(path string, headers ...string) reply {
	a.t.Helper()
	return a.from(here, "GET", "/v1/registry/"+path, "", headers...)
}

// want fails the test unless the reply has that status, and gives its object.
func (a api) want(status int, r reply) map[string]any {
	a.t.Helper()
	if r.status != status {
		a.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	var object map[string]any
	if err := json.Unmarshal(r.body, &object); err != nil {
		a.t.Fatalf("the answer is no object: %v: %s", err, r.body)
	}
	return object
}

// ids are the ids in a list's answer, in its order.
func (a api) ids(path string) string {
	a.t.Helper()
	r := a.get(path)
	var entries []registry.Entry
	if err := json.Unmarshal(r.body, &entries); r.status != http.StatusOK || err != nil {
		a.t.Fatalf("%s: status %d, %v: %s", path, r.status, err, r.body)
	}
	ids := []string{}
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

func (a api) revision() float64 {
	a.t.Helper()
	return a.want(200, a.get("components"))["revision"].(float64)
}

func TestBothShapesRegisterTheSameWorker(t *testing.T) {
	a := newAPI(t, server.Config{})
	long := a.want(200, a.post("register", `{"component_type":"worker","component_id":"worker-llm-8080",
		"hostname":"localhost","port":8080,"metadata":{"worker_type":"llm","model":"llama-3.2-1b","gpu":0}}`))
	short := a.want(200, a.post("register", `{"worker_id":"worker-llm-8080","hostname":"localhost","port":8080,
		"worker_type":"llm","model":"llama-3.2-1b","metadata":{"gpu":0},"unheard_of":true}`))
	for name, want := range map[string]any{
		"component_type": "worker", "component_id": "worker-llm-8080", "worker_id": "worker-llm-8080",
		"hostname": "localhost", "port": 8080.0, "worker_type": "llm", "model": "llama-3.2-1b",
		"status": "online", "heartbeat_seconds": 15.0, "revision": 1.0,
	} {
		if long[name] != want || short[name] != want {
			t.Errorf("%s is %v after the long shape and %v after the short one, want %v", name, long[name], short[name], want)
		}
	}
	if gpu := short["metadata"].(map[string]any)["gpu"]; gpu != 0.0 {
		t.Errorf("the free metadata came back as %v", short["metadata"])
	}
	for _, field := range []string{"registered_at", "last_seen"} {
		if at, _ := short[field].(string); !strings.HasSuffix(at, "Z") {
			t.Errorf("%s is %q, not in UTC", field, at)
		}
	}
	if _, there := short["note"]; there {
		t.Errorf("a registration taken as it was has the note %q", short["note"])
	}
}

func TestEveryKindOfComponent(t *testing.T) {
	a := newAPI(t, server.Config{})
	a.want(200, a.post("register", `{"hive_id":"box","hostname":"localhost","port":7835}`))
	a.want(200, a.post("register", `{"worker_id":"w","hostname":"localhost","port":8080,"worker_type":"llm","model":null}`))
	a.want(200, a.post("register", `{"component_type":"gui","hostname":"localhost","port":5173}`))
	a.want(404, a.get("queen"))
	a.want(200, a.post("register", `{"component_type":"queen","hostname":"localhost","port":7833}`))
	if queen := a.want(200, a.get("queen")); queen["port"] != 7833.0 || queen["component_id"] != "queen" {
		t.Errorf("the queen is %v", queen)
	}
	all := a.want(200, a.get("components"))
	if all["epoch"] == "" || all["revision"] != 4.0 || len(all["hives"].([]any)) != 1 || len(all["workers"].([]any)) != 1 ||
		all["queen"] == nil || all["gui"] == nil {
		t.Errorf("components answers %v", all)
	}
	for _, body := range []string{
		`{"hive_id":"box"}`, `{"component_type":"worker","component_id":"w"}`, `{"component_type":"queen"}`, `{"component_type":"gui"}`,
	} {
		a.want(200, a.post("heartbeat", body))
		a.want(200, a.unregister(body))
		a.want(404, a.unregister(body))
		a.want(404, a.post("heartbeat", body)) // and this one brought nothing back:
	}
	all = a.want(200, a.get("components"))
	if len(all["hives"].([]any))+len(all["workers"].([]any)) != 0 || all["queen"] != nil || all["gui"] != nil {
		t.Errorf("after all are gone components answers %v", all)
	}
}

func TestTheGUIThatCameLastIsShown(t *testing.T) {
	a := newAPI(t, server.Config{})
	for _, id := range []string{"b", "a", "c"} {
		a.want(200, a.post("register", fmt.Sprintf(`{"component_type":"gui","component_id":%q,"hostname":"h","port":5173}`, id)))
		if gui := a.want(200, a.get("components"))["gui"].(map[string]any); gui["component_id"] != id {
			t.Errorf("after %s came the GUI is %v", id, gui)
		}
	}
}

func TestListsAndFilters(t *testing.T) {
	a := newAPI(t, server.Config{})
	if got := string(a.get("workers").body); strings.TrimSpace(got) != "[]" {
		t.Errorf("an empty list is %q", got)
	}
	for _, body := range []string{
		`{"worker_id":"c","hostname":"h","port":3,"worker_type":"vllm","model":"m1","hive_id":"box"}`,
		`{"worker_id":"a","hostname":"h","port":1,"worker_type":"llm","model":"m1"}`,
		`{"worker_id":"b","hostname":"h","port":2,"worker_type":"llm","model":"m2","metadata":{"spawned_by":"hive-box"}}`,
		`{"hive_id":"box","hostname":"h","port":7835}`,
	} {
		a.want(200, a.post("register", body))
	}
	for path, want := range map[string]string{
		"hives":                             "box",
		"workers":                           "a b c",
		"workers?worker_type=llm":           "a b",
		"workers?model=m1":                  "a c",
		"workers?model=m1&worker_type=llm":  "a",
		"workers?hive=box":                  "b c",
		"workers?status=online":             "a b c",
		"workers?status=offline":            "",
		"workers?worker_type=&unheard_of=1": "a b c",
	} {
		if got := a.ids(path); got != want {
			t.Errorf("%s lists %q, want %q", path, got, want)
		}
	}
	if p := a.want(422, a.get("workers?status=asleep")); p["field"] != "status" {
		t.Errorf("a status that there is not: %v", p)
	}
}

func TestRevisionsAndTags(t *testing.T) {
	a := newAPI(t, server.Config{})
	const worker = `{"worker_id":"w","instance_id":"a","hostname":"h","port":1,"metadata":{"tags":["x","y"]}}`
	steps := []struct {
		name  string
		do    func() reply
		grows bool
	}{
		{"registered", func() reply { return a.post("register", worker) }, true},
		{"registered again", func() reply { return a.post("register", worker) }, false},
		{"heartbeat", func() reply { return a.post("heartbeat", `{"worker_id":"w","instance_id":"a"}`) }, false},
		{"another port", func() reply { return a.post("register", strings.Replace(worker, `"port":1`, `"port":2`, 1)) }, true},
		{"another instance", func() reply {
			return a.post("register", strings.Replace(worker, `"a","hostname":"h","port":1`, `"b","hostname":"h","port":2`, 1))
		}, true},
		{"unregistered", func() reply { return a.unregister(`{"worker_id":"w"}`) }, true},
	}
	for _, step := range steps {
		before, tag := a.revision(), a.get("workers").header.Get("ETag")
		a.want(200, step.do())
		after := a.revision()
		if grown := after - before; (grown == 1) != step.grows || (grown == 0) == step.grows {
			t.Errorf("%s: the revision went from %v to %v", step.name, before, after)
		}
		want := http.StatusNotModified
		if step.grows {
			want = http.StatusOK
		}
		if r := a.get("workers", "If-None-Match", `"other", W/`+tag); r.status != want {
			t.Errorf("%s: the old tag is answered with %d", step.name, r.status)
		}
	}
	all := a.want(200, a.get("components"))
	want := fmt.Sprintf(`"%v.%v"`, all["epoch"], all["revision"])
	if tag := a.get("hives").header.Get("ETag"); tag != want {
		t.Errorf("the tag is %s, want %s", tag, want)
	}
	if tag := newAPI(t, server.Config{}).get("hives").header.Get("ETag"); tag == want {
		t.Error("two lives of the registry share a tag")
	}
}

func TestLoopbackNamesFromOtherMachines(t *testing.T) {
	a := newAPI(t, server.Config{})
	body := `{"worker_id":"w","hostname":"localhost","port":8080}`
	r := a.want(200, a.from(there, "POST", "/v1/registry/register", body))
	if note, _ := r["note"].(string); r["hostname"] != "192.0.2.7" || !strings.Contains(note, "192.0.2.7") {
		t.Errorf("localhost from another machine is kept as %v with the note %q", r["hostname"], r["note"])
	}
	if r := a.want(200, a.from(there, "POST", "/v1/registry/register", body)); r["revision"] != 1.0 {
		t.Errorf("repeating it made revision %v", r["revision"])
	}
}

func TestBatches(t *testing.T) {
	a := newAPI(t, server.Config{})
	r := a.want(200, a.post("register", `{"components":[
		{"worker_id":"a","instance_id":"1","hostname":"h","port":1},
		{"worker_id":"b","hostname":"h","port":70000},
		{"worker_id":"c","hostname":"h","port":"8080"},
		"nonsense",
		{"hive_id":"d","hostname":"h","port":4}]}`))
	if a.ids("workers") != "a" || a.ids("hives") != "d" || r["revision"] != 2.0 || len(r["registered"].([]any)) != 2 {
		t.Errorf("the good entries were not registered: %v", r)
	}
	for i, refused := range r["refused"].([]any) {
		got := refused.(map[string]any)
		if p := got["problem"].(map[string]any); got["index"] != float64(i+1) || p["status"] != 422.0 {
			t.Errorf("refused: %v", got)
		}
	}
	if len(r["refused"].([]any)) != 3 {
		t.Errorf("refused: %v", r["refused"])
	}
	r = a.want(200, a.post("heartbeat", `{"components":[
		{"component_type":"worker","component_id":"a","instance_id":"1"},
		{"component_type":"worker","component_id":"a","instance_id":"0"},
		{"component_type":"worker","component_id":"gone","instance_id":"7"},
		{"component_type":"worker"}]}`))
	text, _ := json.Marshal(r)
	want := `{"refused":[{"index":3,"problem":{"code":"invalid_field","detail":"component_id: is empty","field":"component_id",` +
		`"status":422,"title":"Unprocessable Entity","type":"about:blank"}}],"revision":2,` +
		`"superseded":[{"component_id":"a","component_type":"worker","instance_id":"0","worker_id":"a"}],` +
		`"unknown":[{"component_id":"gone","component_type":"worker","instance_id":"7","worker_id":"gone"}]}`
	if string(text) != want {
		t.Errorf("a batch of heartbeats answers\n%s, want\n%s", text, want)
	}
	a.want(200, a.post("heartbeat", `{"components":[]}`))
}

func TestHealthAndUnknownPaths(t *testing.T) {
	a := newAPI(t, server.Config{})
	if h := a.want(200, a.from(here, "GET", "/health", "")); h["status"] != "ok" {
		t.Errorf("health says %v", h)
	}
	a.want(404, a.from(here, "GET", "/v1/registry/nothing", ""))
	a.want(405, a.from(here, "GET", "/v1/registry/register", ""))
}
