package queen_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
)

// onSignal is a start that is ready when goOn is closed.
func onSignal(goOn <-chan struct{}) operation.Work {
	return func(ctx context.Context, op *operation.Running) {
		op.Tell(hive.Event{Name: "leased", Data: []byte(`{"event":"leased","id":"worker-llm-1"}`)})
		select {
		case <-goOn:
			op.Tell(hive.Event{Name: "ready", Data: []byte(`{"event":"ready","id":"worker-llm-1"}`)})
			op.End(func(o *hive.Operation) {
				o.WorkerID, o.Worker = "worker-llm-1", &hive.WorkerProcess{WorkerID: "worker-llm-1", Status: "ready"}
			})
		case <-op.Cancelled():
			op.End(func(o *hive.Operation) { o.Error = &hive.Failure{Detail: "cancelled"} })
		case <-ctx.Done():
		}
	}
}

// runAt runs a queen at a given address.
func runAt(t *testing.T, at string, cfg queen.Config) (stop func()) {
	t.Helper()
	_, stop = run(t, func(ctx context.Context, ln net.Listener) error {
		ln.Close()
		own, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		return queen.New(cfg).Run(ctx, own)
	})
	return stop
}

// TestSpawnOverHerRestart: who follows a spawn through a queen that is restarted hears all of
// it, each event once, however early in her new life they come back.
func TestSpawnOverHerRestart(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	ready := make(chan struct{})
	m := newMachine(t, reg, "box", 8<<30, onSignal(ready))
	url, stop := startQueen(t, queen.Config{RegistryURL: reg})
	eventually(t, "the hive is known", func() bool { return strings.Contains(get(t, url+"/v1/queen/hives"), `"box"`) })
	_, _, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	id, _ := begun["operation_id"].(string)
	c, err := hive.New(hive.Config{URL: url, Operations: "/v1/queen/operations/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var told []string
	ended, err := c.Follow(t.Context(), id, func(e hive.Event) {
		told = append(told, e.Name)
		if e.Name == "leased" {
			stop()
			runAt(t, strings.TrimPrefix(url, "http://"), queen.Config{RegistryURL: reg})
			close(ready)
		}
	})
	if err != nil || ended.Status != hive.Succeeded || ended.WorkerID != "worker-llm-1" || ended.HiveID != "box" || strings.Join(told, " ") != "leased ready" {
		t.Errorf("told of %q, %+v, %v", told, ended, err)
	}

	// One that has ended meanwhile has ended here, too, and one that runs can be cancelled.
	again := func() string {
		url, _ := startQueen(t, queen.Config{RegistryURL: reg})
		return url
	}
	if got := operationAt(t, again(), id); got.Status != hive.Succeeded || !got.EndedAt.Equal(m.ops.List()[0].EndedAt) || !strings.Contains(got.Why, "hive box had it") {
		t.Errorf("when it has ended: %+v", got)
	}
	run, err := m.ops.Begin(hive.Operation{ID: "one"}, untilCancelled)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, answer := ask(t, "DELETE", again()+"/v1/queen/operations/one", ""); status != 200 || answer["status"] != "running" {
		t.Errorf("cancelled: %d %v", status, answer)
	}
	eventually(t, "it has ended", func() bool { return run.Operation().Status == hive.Failed })
}

// TestRecallCountsWhatRuns: what she has found again is promised until it has ended.
func TestRecallCountsWhatRuns(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	m := newMachine(t, reg, "box", 8<<30, succeeds)
	op, err := m.ops.Begin(hive.Operation{ID: "one"}, untilCancelled)
	if err != nil {
		t.Fatal(err)
	}
	q := queen.New(queen.Config{RegistryURL: reg})
	url, _ := run(t, q.Run)
	for range 3 {
		if got := operationAt(t, url, "one"); got.Status != hive.Running || got.HiveID != "box" {
			t.Errorf("it is %+v", got)
		}
	}
	if hives, starts := q.Promised(); hives != 1 || starts != 1 {
		t.Errorf("promised are %d starts at %d hives", starts, hives)
	}
	op.Cancel()
	eventually(t, "nothing is promised", func() bool { hives, starts := q.Promised(); return hives+starts == 0 })
}

// TestRecallWhenNobodySays: a 404 ends those who follow, so that she gives none while a hive
// that is silent may have the operation, unless that is long ago.
func TestRecallWhenNobodySays(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	silent := newMachine(t, reg, "silent", 8<<30, succeeds)
	young := queenOver(t, queen.Config{RegistryURL: reg}, 1)
	if status, _, answer := ask(t, "GET", young+"/v1/queen/operations/one", ""); status != 404 || answer["code"] != hive.CodeUnknownOperation {
		t.Errorf("when it says no: %d %v", status, answer)
	}
	silent.srv.Listener.Close()
	for _, path := range []string{"one", "one/events"} {
		status, _, answer := ask(t, "GET", young+"/v1/queen/operations/"+path, "")
		if status != 503 || answer["code"] != client.CodeNoHive || !strings.Contains(fmt.Sprint(answer["detail"]), "hive silent does not say") {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
	old := queenOver(t, queen.Config{RegistryURL: reg, OfflineAfter: time.Nanosecond, FetchRetry: time.Hour}, 1)
	if status, _, answer := ask(t, "GET", old+"/v1/queen/operations/one", ""); status != 404 {
		t.Errorf("long after her start: %d %v", status, answer)
	}
	if status, _, _ := ask(t, "GET", young+"/v1/queen/operations/"+strings.Repeat("x", 2000), ""); status != 404 {
		t.Errorf("what can be no id: %d", status)
	}
}

// TestRecallWithoutRegistry: while the registry is away nobody knows the hives.
func TestRecallWithoutRegistry(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{RegistryURL: "http://127.0.0.1:1"})
	resp, err := http.Get(url + "/v1/queen/operations/one")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 503 || !strings.Contains(string(body), "the registry, which knows the hives, is away") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
