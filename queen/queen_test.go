package queen_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

func TestTheFiveStepsOfARegistration(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	q := queenClient(t, url)
	mayAnswer := make(chan struct{})
	w := modelServer(t, func(rw http.ResponseWriter, _ *http.Request) {
		<-mayAnswer
		fmt.Fprint(rw, `{"context_length":2048}`)
	})
	status, _, answer := ask(t, "POST", url+"/v1/queen/register-worker", fmt.Sprintf(
		`{"worker_id":%q,"hostname":"localhost","port":%d,"worker_type":"llm","model":"tiny","spawned_by":"gui"}`, w.ID, w.Port))
	if status != http.StatusOK || answer["status"] != "registered" || answer["heartbeat_seconds"] != 30.0 {
		t.Errorf("registered: %d %v", status, answer)
	}
	if answer["capabilities"] != nil {
		t.Errorf("it can't have capabilities yet: %v", answer)
	}
	close(mayAnswer)
	list := await(t, q, "its capabilities", func(l []client.Worker) bool { return l[0].Capabilities != nil })
	if got := list[0]; got.Capabilities["context_length"] != 2048.0 || got.CapabilitiesFrom != "worker" ||
		got.Status != registry.Registered || got.SpawnedBy != "gui" || got.Model != "tiny" {
		t.Errorf("with capabilities: %+v", got)
	}
	if err := q.Heartbeat(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	list, err := q.Workers(t.Context())
	if err != nil || list[0].Status != registry.Online {
		t.Errorf("after its first heartbeat: %+v, %v", list, err)
	}
}

func TestTheSpawnersWordCountsWhereTheWorkerHasNone(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	w := modelServer(t, http.NotFound)
	for _, where := range []string{`"capabilities":{"a":1}`, `"metadata":{"capabilities":{"a":1}}`} {
		body := fmt.Sprintf(`{"worker_id":"w","hostname":"localhost","port":%d,%s}`, w.Port, where)
		_, _, answer := ask(t, "POST", url+"/v1/queen/register-worker", body)
		caps, _ := answer["capabilities"].(map[string]any)
		if caps["a"] != 1.0 || answer["capabilities_from"] != "spawner" {
			t.Errorf("%s: %v", where, answer)
		}
	}
}

func TestAWorkerThatDidNotAnswerIsAskedAgain(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{FetchRetry: 1})
	q := queenClient(t, url)
	var tries atomic.Int32
	w := modelServer(t, func(rw http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) == 1 {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(rw, `{"a":1}`)
	})
	if _, err := q.Register(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	await(t, q, "the second answer", func(l []client.Worker) bool { return l[0].CapabilitiesFrom == "worker" })
}

func TestInstancesFenceEachOther(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	const old, young = "01K0000000000000000000000A", "01K0000000000000000000000B"
	register := func(instance string) string {
		return fmt.Sprintf(`{"worker_id":"w","instance_id":%q,"hostname":"localhost","port":1}`, instance)
	}
	for _, step := range []struct {
		method, path, body string
		status             int
		code               any
	}{
		{"POST", "/register-worker", register(old), 200, nil},
		{"POST", "/heartbeat", `{"worker_id":"w","instance_id":"` + old + `"}`, 200, nil},
		{"POST", "/heartbeat", `{"worker_id":"w","instance_id":"` + young + `"}`, 404, "unknown_component"}, // a life to register
		{"POST", "/register-worker", register(young), 200, nil},
		{"POST", "/register-worker", register(old), 409, "superseded"},
		{"POST", "/heartbeat", `{"worker_id":"w","instance_id":"` + old + `"}`, 409, "superseded"},
		{"DELETE", "/workers/w?instance_id=" + old, "", 409, "superseded"},
		{"POST", "/heartbeat", `{"worker_id":"w"}`, 200, nil},
		{"DELETE", "/workers/w?instance_id=" + young, "", 200, nil},
		{"POST", "/heartbeat", `{"worker_id":"w","instance_id":"` + young + `"}`, 404, "unknown_component"}, // never brings it back
		{"DELETE", "/workers/w", "", 404, "unknown_component"},
	} {
		status, _, answer := ask(t, step.method, url+"/v1/queen"+step.path, step.body)
		if status != step.status || step.status != 200 && answer["code"] != step.code {
			t.Errorf("%s %s %s: %d %v, want %d %v", step.method, step.path, step.body, status, answer, step.status, step.code)
		}
	}
}

func TestBadRequestsAreProblems(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	const register = "/v1/queen/register-worker"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     string
		field                    any
	}{
		{"no JSON", "POST", register, "{", 400, "bad_json", nil},
		{"a port in words", "POST", register, `{"worker_id":"w","hostname":"h","port":"8080"}`, 422, "invalid_field", "port"},
		{"port 0", "POST", register, `{"worker_id":"w","hostname":"h","port":0}`, 422, "invalid_field", "port"},
		{"port 65536", "POST", register, `{"worker_id":"w","hostname":"h","port":65536}`, 422, "invalid_field", "port"},
		{"no id", "POST", register, `{"hostname":"h","port":1}`, 422, "invalid_field", "worker_id"},
		{"a long id", "POST", register, `{"worker_id":"` + strings.Repeat("w", 129) + `","hostname":"h","port":1}`, 422, "invalid_field", "worker_id"},
		{"no host", "POST", register, `{"worker_id":"w","port":1}`, 422, "invalid_field", "hostname"},
		{"a URL for a host", "POST", register, `{"worker_id":"w","hostname":"h/x?","port":1}`, 422, "invalid_field", "hostname"},
		{"too large", "POST", register, `{"worker_id":"` + strings.Repeat("w", 64<<10) + `"}`, 413, "body_too_large", nil},
		{"a beat without an id", "POST", "/v1/queen/heartbeat", `{}`, 422, "invalid_field", "worker_id"},
		{"a beat of a stranger", "POST", "/v1/queen/heartbeat", `{"worker_id":"w"}`, 404, "unknown_component", nil},
		{"unknown path", "GET", "/v1/queen", "", 404, "unknown_path", nil},
		{"wrong method", "GET", register, "", 405, "method_not_allowed", nil},
	} {
		status, header, answer := ask(t, c.method, url+c.path, c.body)
		if status != c.status || answer["code"] != c.code || answer["field"] != c.field {
			t.Errorf("%s: %d %v, want %d %s %v", c.name, status, answer, c.status, c.code, c.field)
		}
		if got := header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s: it is %s", c.name, got)
		}
	}
}

func TestNoMoreWorkersThanTheLimit(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{MaxWorkers: 1})
	for i, want := range []int{200, 503} {
		body := fmt.Sprintf(`{"worker_id":"w%d","hostname":"localhost","port":1}`, i)
		if status, _, answer := ask(t, "POST", url+"/v1/queen/register-worker", body); status != want {
			t.Errorf("worker %d: %d %v", i, status, answer)
		}
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	list, err := queenClient(t, url).Workers(t.Context())
	if err != nil || list == nil {
		t.Errorf("%v, %v", list, err)
	}
}
