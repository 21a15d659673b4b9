package queen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// machine is a hive's place on the network, where operations go as a test says. What a
// hive does with a queen's requests is tested with the real one, in its own package.
type machine struct {
	component registry.Component
	srv       *httptest.Server
	ops       *operation.Store
	spawn     atomic.Pointer[http.HandlerFunc] // in place of what it does
	stop      atomic.Pointer[http.HandlerFunc]
	workers   sync.Map     // ids of those that it has, besides those that a test says it stops
	offered   atomic.Value // a func() that is called once it has said what it has
}

const canDo = `{"engines":[{"name":"llama-server","types":["llm"],"path":"/l"}],"memory_available_bytes":%d}`

// newMachine registers a hive with the registry, whose starts do work.
func newMachine(t *testing.T, reg, id string, free int64, work operation.Work) *machine {
	t.Helper()
	m := &machine{ops: operation.New("/v1/hive/operations/", 100)}
	ctx, leave := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- m.ops.Run(ctx) }()
	instead := func(of *atomic.Pointer[http.HandlerFunc], h httpd.Handler) httpd.Handler {
		return func(w http.ResponseWriter, r *http.Request) error {
			if other := of.Load(); other != nil {
				(*other)(w, r)
				return nil
			}
			return h(w, r)
		}
	}
	m.srv = httptest.NewServer(httpd.Routes(slog.New(slog.DiscardHandler), append([]httpd.Route{
		{Method: "GET", Path: "/capabilities", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Connection", "close")
			_, err := fmt.Fprintf(w, canDo, free)
			if then, is := m.offered.Load().(func()); is {
				then()
			}
			return err
		}},
		{Method: "POST", Path: "/v1/hive/workers", Handler: instead(&m.spawn, func(w http.ResponseWriter, r *http.Request) error {
			var req hive.SpawnRequest
			if err := httpd.ReadJSON(w, r, &req, httpd.MaxBody); err != nil {
				return err
			}
			op, err := m.ops.Begin(hive.Operation{Request: req}, work)
			if err != nil {
				return err
			}
			return m.ops.Answer(w, r, op)
		})},
		{Method: "GET", Path: "/v1/hive/workers/{id}", Handler: func(w http.ResponseWriter, r *http.Request) error {
			if _, has := m.workers.Load(r.PathValue("id")); !has {
				return httpd.Errorf(404, hive.CodeUnknownWorker, "it has none")
			}
			return httpd.WriteJSON(w, http.StatusOK, hive.WorkerProcess{WorkerID: r.PathValue("id"), HiveID: id, Status: "restarting"})
		}},
		{Method: "DELETE", Path: "/v1/hive/workers/{id}", Handler: instead(&m.stop, func(w http.ResponseWriter, _ *http.Request) error {
			return httpd.WriteJSON(w, http.StatusOK, "stopped")
		})},
	}, m.ops.Routes()...)))
	t.Cleanup(func() { leave(); <-running; m.srv.Close() })
	m.component = componentAt(t, m.srv.URL)
	m.component.Kind, m.component.ID = registry.Hive, id
	if _, err := registryClient(t, reg).Register(t.Context(), m.component); err != nil {
		t.Fatal(err)
	}
	return m
}

// succeeds is a start that has little to tell.
func succeeds(_ context.Context, op *operation.Running) {
	op.Tell(hive.Event{Name: "leased", Data: []byte(`{"event":"leased","id":"worker-llm-1","instance_id":"one"}`)})
	op.Pass(hive.Event{Name: "progress", Data: []byte(`{"event":"progress","id":"worker-llm-1"}`)})
	op.Tell(hive.Event{Name: "ready", Data: []byte(`{"event":"ready","id":"worker-llm-1"}`)})
	op.End(func(o *hive.Operation) {
		o.WorkerID, o.InstanceID, o.Worker = "worker-llm-1", "one", &hive.WorkerProcess{WorkerID: "worker-llm-1", Status: "ready"}
	})
}

// untilCancelled is one that takes for ever.
func untilCancelled(ctx context.Context, op *operation.Running) {
	select {
	case <-op.Cancelled():
		op.End(func(o *hive.Operation) { o.Error = &hive.Failure{Detail: "cancelled, as somebody wanted"} })
	case <-ctx.Done():
	}
}

// queenOver is a queen that knows these hives.
func queenOver(t *testing.T, cfg queen.Config, hives int) string {
	t.Helper()
	url, _ := startQueen(t, cfg)
	eventually(t, "the hives are known", func() bool {
		return strings.Count(get(t, url+"/v1/queen/hives"), `"hive_id"`) == hives
	})
	return url
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// spawn asks the queen for a worker, and follows her operation to its end.
func spawn(t *testing.T, url, body string) (events string, end hive.Operation) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/queen/spawn-worker", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, last, _ := strings.Cut(string(text), "event: end\ndata: ")
	if err := json.Unmarshal([]byte(last), &end); err != nil {
		t.Fatalf("%d %s: %v", resp.StatusCode, text, err)
	}
	return string(text), end
}

func operationAt(t *testing.T, url, id string) (op hive.Operation) {
	t.Helper()
	if err := json.Unmarshal([]byte(get(t, url+"/v1/queen/operations/"+id)), &op); err != nil {
		t.Fatal(err)
	}
	return op
}

// TestSpawn: the queen chooses, and tells all that the hive tells.
func TestSpawn(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	newMachine(t, reg, "small", 8<<30, succeeds)
	newMachine(t, reg, "big", 64<<30, succeeds)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 2)
	events, end := spawn(t, url, `{"worker_type":"llm","model":"tiny"}`)
	if end.Status != hive.Succeeded || end.HiveID != "big" || !strings.Contains(end.Why, "the most of 2") || end.Worker == nil || end.WorkerID != "worker-llm-1" || end.InstanceID != "one" || end.Phase != "ready" {
		t.Errorf("it ended as %+v", end)
	}
	if !containsAll(events, "id: 1\n", `"event":"leased"`, "id: 2\n", `"event":"ready"`) {
		t.Errorf("the events are %s", events)
	}
	if _, end := spawn(t, url, `{"model":"tiny","hive_id":"small"}`); end.HiveID != "small" || end.Why != "hive small was asked for" || end.Request.WorkerType != "llm" {
		t.Errorf("it ended as %+v", end)
	}
	if got := get(t, url+"/v1/queen/operations"); strings.Count(got, `"operation_id"`) != 2 {
		t.Errorf("the operations are %s", got)
	}
}

// TestSpawnCancelled: she passes on that a start is not wanted any more.
func TestSpawnCancelled(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	newMachine(t, reg, "box", 8<<30, untilCancelled)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 1)
	status, header, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	id, _ := begun["operation_id"].(string)
	if status != 202 || header.Get("Location") != "/v1/queen/operations/"+id || begun["status"] != "running" {
		t.Fatalf("%d %v %v", status, header, begun)
	}
	if status, _, _ := ask(t, "DELETE", url+"/v1/queen/operations/"+id, ""); status != 200 {
		t.Errorf("cancelled: %d", status)
	}
	eventually(t, "it has ended", func() bool { return operationAt(t, url, id).Status == hive.Failed })
	if got := operationAt(t, url, id).Error.Detail; got != "cancelled, as somebody wanted" {
		t.Errorf("it failed: %s", got)
	}
}

// TestSpawnHiveGone: the operation of a hive that dies for good ends, and so does what was
// promised of it.
func TestSpawnHiveGone(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	m := newMachine(t, reg, "box", 8<<30, untilCancelled)
	q := queen.New(queen.Config{RegistryURL: reg, OfflineAfter: 300 * time.Millisecond, PollInterval: 5 * time.Millisecond})
	url, _ := run(t, q.Run)
	eventually(t, "the hive is known", func() bool { return strings.Contains(get(t, url+"/v1/queen/hives"), `"box"`) })
	_, _, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	id, _ := begun["operation_id"].(string)
	if hives, starts := q.Promised(); hives != 1 || starts != 1 {
		t.Errorf("promised are %d starts at %d hives", starts, hives)
	}
	m.srv.CloseClientConnections()
	m.srv.Listener.Close()
	ask(t, "DELETE", url+"/v1/queen/operations/"+id, "") // which nobody hears
	eventually(t, "it has ended", func() bool { return operationAt(t, url, id).Status == hive.Failed })
	if got := operationAt(t, url, id).Error.Detail; !strings.Contains(got, "the hive lost sight of it: ") {
		t.Errorf("it failed: %s", got)
	}
	if hives, starts := q.Promised(); hives+starts != 0 {
		t.Errorf("promised are still %d starts at %d hives", starts, hives)
	}
}

// TestSpawnsAtOnce: requests at the same instant are spread over the hives, and nothing is
// left of them.
func TestSpawnsAtOnce(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	for _, id := range []string{"a", "b"} {
		newMachine(t, reg, id, 8<<30, untilCancelled)
	}
	q := queen.New(queen.Config{RegistryURL: reg, PollInterval: 5 * time.Millisecond})
	url, _ := run(t, q.Run)
	eventually(t, "the hives are known", func() bool { return strings.Count(get(t, url+"/v1/queen/hives"), `"hive_id"`) == 2 })
	var asking sync.WaitGroup
	ops := make(chan map[string]any, 16)
	for range cap(ops) {
		asking.Go(func() {
			_, _, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
			ops <- begun
		})
	}
	asking.Wait()
	close(ops)
	on := map[any]int{}
	if hives, starts := q.Promised(); hives != 2 || starts != 16 {
		t.Errorf("promised are %d starts at %d hives", starts, hives)
	}
	for op := range ops {
		on[op["hive_id"]]++
		ask(t, "DELETE", fmt.Sprint(url, "/v1/queen/operations/", op["operation_id"]), "")
	}
	if on["a"] != 8 || on["b"] != 8 {
		t.Errorf("they are spread as %v", on)
	}
	eventually(t, "nothing is promised", func() bool { hives, starts := q.Promised(); return hives+starts == 0 })
}

// TestSpawnRefused: what can't be is refused, by her or by the hive in her place; and what
// goes wrong between the two is none of the caller's faults.
func TestSpawnRefused(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	m := newMachine(t, reg, "box", 8<<30, succeeds)
	q := queen.New(queen.Config{RegistryURL: reg, PollInterval: 5 * time.Millisecond})
	url, _ := run(t, q.Run)
	eventually(t, "the hive is known", func() bool { return strings.Contains(get(t, url+"/v1/queen/hives"), `"box"`) })
	problem := func(p *httpd.Problem) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { httpd.WriteProblem(w, p) }
	}
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, text) }
	}
	for _, test := range []struct {
		name, body  string
		hive        http.HandlerFunc
		status      int
		code, field string
	}{
		{"no JSON", `{`, nil, 400, "bad_json", ""},
		{"a wrong type", `{"model":1}`, nil, 422, "invalid_field", "model"},
		{"an unknown hive", `{"hive_id":"other"}`, nil, 422, client.CodeUnknownHive, "hive_id"},
		{"no engine", `{"worker_type":"comfy"}`, nil, 503, client.CodeNoHive, ""},
		{"a field", `{}`, problem(httpd.InvalidField("port", "is none")), 422, "invalid_field", "port"},
		{"busy", `{}`, problem(httpd.Errorf(503, hive.CodeBusy, "16 are")), 503, hive.CodeBusy, ""},
		{"a token", `{}`, problem(httpd.Errorf(401, "token_needed", "get one")), 502, client.CodeHiveFailed, ""},
		{"no hive", `{}`, says(200, "<!doctype html>"), 502, client.CodeHiveFailed, ""},
		{"no operation", `{}`, says(202, `{"status":"running"}`), 502, client.CodeHiveFailed, ""},
		{"an old operation", `{}`, says(202, `{"operation_id":"one"}`), 202, "", ""},
		{"the same again", `{}`, says(202, `{"operation_id":"one"}`), 502, client.CodeHiveFailed, ""},
	} {
		m.spawn.Store(nil)
		if test.hive != nil {
			m.spawn.Store(&test.hive)
		}
		status, _, answer := ask(t, "POST", url+"/v1/queen/spawn-worker", test.body)
		code, _ := answer["code"].(string)
		field, _ := answer["field"].(string)
		if status != test.status || code != test.code || field != test.field {
			t.Errorf("%s: %d %v", test.name, status, answer)
		}
	}
	eventually(t, "nothing is promised", func() bool { hives, starts := q.Promised(); return hives+starts == 0 })
	if got := operationAt(t, url, "one"); got.Status != hive.Failed || !strings.Contains(got.Error.Detail, "no operation") {
		t.Errorf("an operation that the hive does not know: %+v", got)
	}
}

// TestStop: a worker is stopped by the hive that is its parent, at its id.
func TestStop(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	m := newMachine(t, reg, "box", 8<<30, succeeds)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 1)
	var stopped atomic.Value
	takes := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stopped.Store(r.PathValue("id"))
		_ = httpd.WriteJSON(w, 200, "stopped")
	})
	m.stop.Store(&takes)
	for id, by := range map[string]string{"a/b@box 2": "hive-box", "hers": "gui", "lost": "hive-other", "own": ""} {
		ask(t, "POST", url+"/v1/queen/register-worker", fmt.Sprintf(`{"worker_id":%q,"hostname":"localhost","port":9,"spawned_by":%q}`, id, by))
	}
	for id, want := range map[string]string{
		"a%2Fb@box%202": "200 ", "hers": "409 " + client.CodeNoParent, "own": "409 " + client.CodeNoParent,
		"lost": "503 " + client.CodeNoHive, "other": "404 " + registry.CodeUnknown,
	} {
		status, _, answer := ask(t, "POST", url+"/v1/queen/workers/"+id+"/stop", "")
		code, _ := answer["code"].(string)
		if got := fmt.Sprint(status, " ", code); got != want {
			t.Errorf("%s: %s, not %s: %v", id, got, want, answer)
		}
	}
	if stopped.Load() != "a/b@box 2" {
		t.Errorf("stopped is %v", stopped.Load())
	}
	unknown := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		httpd.WriteProblem(w, httpd.Errorf(404, hive.CodeUnknownWorker, "it is no more"))
	})
	m.stop.Store(&unknown)
	if status, _, answer := ask(t, "POST", url+"/v1/queen/workers/a%2Fb@box%202/stop", ""); status != 404 || answer["code"] != hive.CodeUnknownWorker {
		t.Errorf("one that has ended: %d %v", status, answer)
	}
}
