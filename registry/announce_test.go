package registry_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// until asks again and again whether it is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Announce's whole life: a registry that comes late, forgets, is started anew, and is told
// goodbye; then one that knows a later life.
func TestAnnounce(t *testing.T) {
	d := &door{}
	d.put(server.New(server.Config{}).Handler())
	d.shut.Store(true)
	ts := httptest.NewServer(d)
	t.Cleanup(ts.Close)
	c := dial(t, registry.Config{URL: ts.URL, HeartbeatInterval: 5 * time.Millisecond})
	listed := func(n int) func() bool {
		return func() bool {
			all, err := c.Workers(t.Context(), registry.Filter{})
			return err == nil && !all.Stale && len(all.Value) == n
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var announcing sync.WaitGroup
	announcing.Go(func() { c.Announce(ctx, worker("w")) })
	d.shut.Store(false)
	until(t, "it is registered", listed(1))
	if err := c.Unregister(t.Context(), worker("w")); err != nil { // its next heartbeat gets a 404
		t.Fatal(err)
	}
	until(t, "it is registered again", listed(1))
	d.put(server.New(server.Config{}).Handler())
	until(t, "the new registry knows it", listed(1))
	stop()
	announcing.Wait()
	if !listed(0)() {
		t.Error("it did not unregister")
	}
}
