package hive_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// TestStopOfOrphan: a worker that is stopped before it has another keeper is unregistered.
func TestStopOfOrphan(t *testing.T) {
	t.Parallel()
	reg := serve(t, func(ctx context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
	b := newBox(t, func(c *hive.Config) { c.RegistryURL, c.Registering, c.Tend = reg, time.Hour, time.Hour })
	w := b.spawn()
	b.kill(b.launched(w.WorkerID).SupervisorPID)
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil || !isGone(w.PID) {
		t.Errorf("stopped: %v", err)
	}
	c, err := registry.NewClient(registry.Config{URL: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if workers, err := c.Workers(t.Context(), registry.Filter{}); err != nil || len(workers.Value) != 0 {
		t.Errorf("the registry has %+v, %v", workers.Value, err)
	}
}
