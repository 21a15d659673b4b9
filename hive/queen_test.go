package hive_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// serve runs a server on a socket of its own until the test ends.
func serve(t *testing.T, run func(context.Context, net.Listener) error) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// TestQueen: a queen finds the hive in the registry, has it spawn, and stop; the worker is
// registered with both when the operation has succeeded.
func TestQueen(t *testing.T) {
	t.Parallel()
	reg := serve(t, func(ctx context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
	q := queen.New(queen.Config{RegistryURL: reg, PollInterval: 5 * time.Millisecond})
	hers := serve(t, q.Run)
	b := newBox(t, func(c *hive.Config) { c.RegistryURL, c.QueenURL, c.Registering = reg, &hers, time.Hour })
	her := *b
	her.url = hers
	b.eventually("the queen knows the hive", func() bool {
		_, _, text := her.ask("GET", "/v1/queen/hives", "")
		return strings.Contains(text, `"hive_id":"box"`) && strings.Contains(text, `"status":"online"`)
	})
	status, _, stream := her.ask("POST", "/v1/queen/spawn-worker", `{"engine":"builtin","model":"m"}`, "Accept", "text/event-stream")
	if status != 200 || !strings.Contains(stream, `"event":"registered"`) || !strings.Contains(stream, `"why":"it has the engine builtin`) {
		t.Fatalf("%d %s", status, stream)
	}
	list, err := b.to.Workers(t.Context())
	if err != nil || len(list) != 1 || !list[0].Registry || !list[0].Queen {
		t.Fatalf("%+v, %v", list, err)
	}
	c, err := registry.NewClient(registry.Config{URL: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	workers, err := c.Workers(t.Context(), registry.Filter{Hive: "box"})
	if err != nil || len(workers.Value) != 1 || workers.Value[0].ID != list[0].WorkerID || workers.Value[0].Metadata[registry.MetricsKey] != "/metrics" {
		t.Errorf("the registry has %+v, %v", workers.Value, err)
	}
	if status, _, answer := her.ask("POST", "/v1/queen/workers/"+list[0].WorkerID+"/stop", ""); status != 200 {
		t.Errorf("stopped: %d %s", status, answer)
	}
	if !isGone(list[0].PID) {
		t.Error("it is there")
	}
	// What the hive refuses, she refuses.
	status, _, answer := her.ask("POST", "/v1/queen/spawn-worker", `{"engine":"builtin","port":-1}`)
	if code, field := refusal(answer); status != 422 || code != "invalid_field" || field != "port" {
		t.Errorf("a port that is none: %d %s", status, answer)
	}
	status, _, answer = her.ask("POST", "/v1/queen/spawn-worker", `{"worker_type":"fake","model":"tiny.gguf"}`)
	if code, _ := refusal(answer); status != 503 || code != "no_hive" || !strings.Contains(answer, "it has no model tiny.gguf in its folders") {
		t.Errorf("a model that is not there: %d %s", status, answer)
	}
	// The hive goes, comes back elsewhere, and she finds it again.
	_, _, begun := her.ask("POST", "/v1/queen/spawn-worker", `{"engine":"builtin","args":["--never-ready"]}`)
	if !strings.Contains(begun, string(client.Running)) {
		t.Errorf("begun: %s", begun)
	}
	b.leave()
	b.eventually("the queen knows that it is gone", func() bool {
		_, _, text := her.ask("GET", "/v1/queen/hives", "")
		return !strings.Contains(text, `"hive_id":"box"`) || strings.Contains(text, `"status":"offline"`)
	})
}

// While the registry is away, workers are registered with the queen that it knew.
func TestQueenWithoutRegistry(t *testing.T) {
	t.Parallel()
	ctx, stopRegistry := context.WithCancel(t.Context())
	defer stopRegistry()
	reg := serve(t, func(_ context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
	hers := serve(t, queen.New(queen.Config{RegistryURL: reg}).Run)
	cache := t.TempDir()
	b := newBox(t, func(c *hive.Config) { c.RegistryURL, c.QueenURL, c.CacheDir = reg, nil, cache })
	b.eventually("the hive has the queen's address on disk", func() bool {
		files, err := filepath.Glob(filepath.Join(cache, "*"))
		return err == nil && slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), `"port":`+hers[strings.LastIndex(hers, ":")+1:])
		})
	})
	stopRegistry()
	id := b.spawn().WorkerID
	her := *b
	her.url = hers
	b.eventually("the queen knows the worker", func() bool {
		_, _, text := her.ask("GET", "/v1/queen/workers", "")
		return strings.Contains(text, id)
	})
}
