package queen_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
)

// refuses has the machine refuse each spawn, and returns how many those were.
func (m *machine) refuses(p *httpd.Problem) *atomic.Int32 {
	var n atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { n.Add(1); httpd.WriteProblem(w, p) })
	m.spawn.Store(&h)
	return &n
}

// TestSpawnGoesOnToTheNextHive: what a hive refuses for a reason of its own another one is
// asked for, in their order; what is refused by all says of each why.
func TestSpawnGoesOnToTheNextHive(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	first, second := newMachine(t, reg, "first", 64<<30, succeeds), newMachine(t, reg, "second", 32<<30, succeeds)
	last := newMachine(t, reg, "last", 8<<30, succeeds)
	q := queen.New(queen.Config{RegistryURL: reg})
	url, _ := run(t, q.Run)
	eventually(t, "the hives are known", func() bool { return strings.Count(get(t, url+"/v1/queen/hives"), `"hive_id"`) == 3 })
	busy := httpd.Errorf(503, hive.CodeBusy, "16 are")
	atFirst := first.refuses(busy)
	if _, end := spawn(t, url, `{"model":"tiny"}`); end.HiveID != "second" || atFirst.Load() != 1 ||
		!containsAll(end.Why, "32.0 GiB of memory free, the most of 2", "; hive first was asked before, and refused: 16 are") {
		t.Errorf("the second: %+v", end)
	}
	for _, p := range []*httpd.Problem{
		httpd.Errorf(401, "token_needed", "get one"), httpd.Errorf(422, hive.CodeNoModel, "no such"), httpd.Errorf(429, "too_many", "slow"),
	} {
		first.refuses(p)
		if _, end := spawn(t, url, `{"model":"tiny"}`); end.HiveID != "second" || !strings.Contains(end.Why, p.Detail) {
			t.Errorf("after %v: %+v", p, end)
		}
	}
	second.refuses(httpd.Errorf(422, hive.CodeNoEngine, "it is gone"))
	if _, end := spawn(t, url, `{"model":"tiny"}`); end.HiveID != "last" || !containsAll(end.Why, "hive first was", "hive second was", "8.0 GiB of memory free;") {
		t.Errorf("the last: %+v", end)
	}
	last.refuses(httpd.Errorf(503, hive.CodeBusy, "two are"))
	status, _, answer := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	if detail, _ := answer["detail"].(string); status != 503 || answer["code"] != hive.CodeBusy || !containsAll(detail, "first: slow", "second: it is gone", "last: two are") {
		t.Errorf("all refuse: %d %v", status, answer)
	}
	// A hive that was named is the only one.
	first.refuses(busy)
	last.spawn.Store(nil)
	status, _, answer = ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny","hive_id":"first"}`)
	if detail, _ := answer["detail"].(string); status != 503 || answer["code"] != hive.CodeBusy || detail != "hive first: 16 are" {
		t.Errorf("a named one: %d %v", status, answer)
	}
	eventually(t, "nothing is promised", func() bool { hives, starts := q.Promised(); return hives+starts == 0 })
}

// TestSpawnNeverTwice: no other hive is asked where one may have begun, or where what was
// asked for is wrong.
func TestSpawnNeverTwice(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	first, second := newMachine(t, reg, "first", 64<<30, succeeds), newMachine(t, reg, "second", 32<<30, succeeds)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 2)
	atSecond := second.refuses(httpd.Errorf(503, hive.CodeBusy, "it is"))
	for name, h := range map[string]http.HandlerFunc{
		"cut":          func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"failed":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"no operation": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); _, _ = io.WriteString(w, `{}`) },
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); _, _ = io.WriteString(w, `<html>`) },
		"a field": func(w http.ResponseWriter, _ *http.Request) {
			httpd.WriteProblem(w, httpd.InvalidField("port", "is none"))
		},
	} {
		first.spawn.Store(&h)
		want := 502
		if name == "a field" {
			want = 422
		}
		status, _, answer := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
		if detail, _ := answer["detail"].(string); status != want || !strings.HasPrefix(detail, "hive first: ") {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	if n := atSecond.Load(); n != 0 {
		t.Errorf("the second was asked %d times", n)
	}
}

// TestSpawnHiveUnreachable: one that dies between its offer and the spawn has begun nothing.
func TestSpawnHiveUnreachable(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	first := newMachine(t, reg, "first", 64<<30, succeeds)
	newMachine(t, reg, "second", 32<<30, succeeds)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 2)
	eventually(t, "she has asked what they have", func() bool { return strings.Count(get(t, url+"/v1/queen/hives"), `"capabilities_from"`) == 2 })
	first.offered.Store(func() { first.srv.Listener.Close() })
	if _, end := spawn(t, url, `{"model":"tiny"}`); end.HiveID != "second" || !containsAll(end.Why, "hive first was asked before, and refused: ", "connection refused") {
		t.Errorf("it ended as %+v", end)
	}
	status, _, answer := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny","hive_id":"first"}`)
	if status != 503 || answer["code"] != client.CodeNoHive {
		t.Errorf("a named one: %d %v", status, answer)
	}
}
