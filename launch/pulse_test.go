package launch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
)

// The pulse comes while the launch lives, and not while a handler of its events hangs:
// not even of those that no supervisor sends.
func TestPulse(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var handling, late atomic.Bool
	cfg := config()
	cfg.Registry = registryClient(t, startRegistry(t, "127.0.0.1:0").url)
	cfg.OnEvent = func(e launch.Event) {
		if e.Event == launch.Registered {
			handling.Store(true)
			time.Sleep(50 * time.Millisecond) // fifty pulses long
			handling.Store(false)
			late.Store(true)
		}
	}
	cfg.PulseEvery = time.Millisecond
	cfg.OnPulse = func() {
		if handling.Load() {
			t.Error("it pulses while an event is handled")
		}
		if late.Load() {
			stop() // and it goes on afterwards
		}
	}
	if err := launch.Run(ctx, cfg); err != nil {
		t.Error(err)
	}
}
