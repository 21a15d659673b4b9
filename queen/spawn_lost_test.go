package queen_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// forever is a start of an instance that goes on without its hive.
func forever(instance string) operation.Work {
	return func(ctx context.Context, op *operation.Running) {
		op.Tell(hive.Event{Name: "leased", Data: []byte(`{"event":"leased","id":"worker-llm-1","instance_id":"` + instance + `"}`)})
		<-ctx.Done()
	}
}

// die has a hive answer nobody any more.
func (m *machine) die() {
	m.srv.Listener.Close()
	m.srv.CloseClientConnections()
}

// online has a worker of a hive's beat to the queen.
func online(t *testing.T, url, hiveID, instance string) {
	t.Helper()
	q, err := client.New(client.Config{URL: url, SpawnedBy: "hive-" + hiveID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	at := componentAt(t, url) // of some server
	at.ID, at.InstanceID, at.Model, at.Metadata = "worker-llm-1", instance, "tiny", map[string]any{"engine": "llama-server"}
	if _, err := q.Register(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if err := q.Heartbeat(t.Context(), at); err != nil {
		t.Fatal(err)
	}
}

// TestSpawnHiveKilled: the worker of a hive that is killed in the midst of a start comes all the
// same, and with it the end of the operation.
func TestSpawnHiveKilled(t *testing.T) {
	t.Parallel()
	for _, instance := range []string{"01B", ""} {
		reg := startRegistry(t)
		m := newMachine(t, reg, "box", 8<<30, forever(instance))
		url := queenOver(t, queen.Config{RegistryURL: reg}, 1)
		_, _, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
		id, _ := begun["operation_id"].(string)
		eventually(t, "it has a port", func() bool { return operationAt(t, url, id).WorkerID != "" })
		online(t, url, "box", "01B")
		if got := operationAt(t, url, id); got.Status != hive.Running {
			t.Errorf("while the hive answers it has the word: %+v", got)
		}
		m.die()
		eventually(t, "it has ended", func() bool { return operationAt(t, url, id).Status != hive.Running })
		got := operationAt(t, url, id)
		if got.Status != hive.Succeeded || got.Error != nil || got.InstanceID != "01B" || got.Worker == nil || got.EndedAt.IsZero() {
			t.Fatalf("it ended as %+v, %+v", got, got.Error)
		}
		if w := *got.Worker; w.WorkerID != "worker-llm-1" || w.InstanceID != "01B" || w.HiveID != "box" || w.Status != "ready" || w.Engine != "llama-server" || !w.Queen || w.Port == 0 {
			t.Errorf("its worker is %+v", w)
		}
	}
}

// TestSpawnAnotherOneIsOnline: who has the id, and is another's worker or another instance, is not
// what was asked for.
func TestSpawnAnotherOneIsOnline(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ hive, instance, expected string }{
		"another instance":   {"box", "01A", "01B"},
		"another hive's":     {"other", "01B", "01B"},
		"one of before that": {"box", "01A", ""},
	} {
		reg := startRegistry(t)
		m := newMachine(t, reg, "box", 8<<30, forever(is.expected))
		url := queenOver(t, queen.Config{RegistryURL: reg, OfflineAfter: time.Second}, 1)
		online(t, url, is.hive, is.instance)
		ctx, stop := context.WithCancel(t.Context())
		q := queenClient(t, url)
		beating := make(chan struct{})
		go func() {
			defer close(beating)
			for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
				_ = q.Heartbeat(ctx, registry.Component{ID: "worker-llm-1", InstanceID: is.instance})
			}
		}()
		_, _, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
		id, _ := begun["operation_id"].(string)
		eventually(t, "it has a port", func() bool { return operationAt(t, url, id).WorkerID != "" })
		m.die()
		eventually(t, "it has ended", func() bool { return operationAt(t, url, id).Status != hive.Running })
		got := operationAt(t, url, id)
		if got.Status != hive.Failed || !strings.Contains(got.Error.Detail, "nothing is heard of its hive any more, and worker-llm-1, which it was starting, is not online: ") {
			t.Errorf("%s: it ended as %+v, %+v", name, got, got.Error)
		}
		stop()
		<-beating
	}
	http.DefaultClient.CloseIdleConnections()
}
