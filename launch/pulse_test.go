package launch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
	"github.com/rbee-launch/rbee-launch/supervisor"
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

// A stack's pulse is that of all its parts: one that hangs stops it.
func TestStackPulse(t *testing.T) {
	var pulses, before, after atomic.Int32
	worker := config()
	program := worker.Program
	worker.Program = func(ctx context.Context, at launch.Target) (supervisor.Spec, error) {
		before.Store(pulses.Load())
		time.Sleep(50 * time.Millisecond) // fifty pulses long
		after.Store(pulses.Load())
		return program(ctx, at)
	}
	again := make(chan struct{})
	err := stack.Run(t.Context(), stack.Config{
		Worker: worker, PulseEvery: time.Millisecond,
		OnPulse: func() {
			pulses.Add(1)
			select {
			case again <- struct{}{}:
			default:
			}
		},
	}, func(context.Context, stack.Up) error {
		<-again
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if before.Load() == 0 || after.Load() > before.Load()+1 { // one may be on its way
		t.Errorf("%d pulses came before a part hung, and %d while it did", before.Load(), after.Load()-before.Load())
	}
}
