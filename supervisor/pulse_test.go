package supervisor_test

import (
	"context"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// A supervisor pulses in whatever it may have to wait for.
func TestPulse(t *testing.T) {
	never := supervisor.Probe{Check: func(ctx context.Context, _ supervisor.Child) error { <-ctx.Done(); return ctx.Err() }, Timeout: -1}
	stubborn := script(`trap "" TERM; echo up; while :; do sleep 1; done`)
	stubborn.Ready, stubborn.Grace = []supervisor.Probe{supervisor.LogLine(regexp.MustCompile("up"))}, time.Hour
	starting := script(`exec sleep 1000`)
	starting.Ready = []supervisor.Probe{never}
	watching := script(`exec sleep 1000`)
	watching.Live = never
	watching.Live.Period = time.Millisecond

	for name, c := range map[string]struct {
		spec   supervisor.Spec
		policy supervisor.Restart
		after  supervisor.EventType // the event after which it waits
	}{
		"for readiness":       {spec: starting, after: supervisor.Spawned},
		"for the child's end": {spec: script(`exec sleep 1000`), after: supervisor.Ready},
		"for a probe":         {spec: watching, after: supervisor.Ready},
		"for a restart": {
			spec: script("exit 1"), after: supervisor.Restarting,
			policy: supervisor.Restart{When: supervisor.Always, Initial: time.Hour, Max: time.Hour},
		},
		"for a stop": {spec: stubborn, after: supervisor.Stopping},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hurry := make(chan struct{})
			pulses := make(chan struct{}, 1000)
			cfg := supervisor.Config{Restart: c.policy, Hurry: hurry, PulseEvery: time.Millisecond}
			cfg.OnPulse = func() {
				select {
				case pulses <- struct{}{}:
				default:
				}
			}
			r := start(t, cfg, c.spec)
			if c.after == supervisor.Stopping {
				r.want(supervisor.Ready)
				r.stop()
			}
			for r.want(c.after).Wait == 0 && c.after == supervisor.Restarting { // the first one is at once
			}
			for len(pulses) > 0 { // those of before
				<-pulses
			}
			for range 5 {
				<-pulses
			}
			close(hurry)
			r.stop()
			if err := <-r.err; err != nil {
				t.Error(err)
			}
		})
	}
}

// A handler of events that hangs stops the pulse.
func TestNoPulseWhileAHandlerHangs(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var handling atomic.Bool
	var wrong atomic.Int32
	err := supervisor.Run(ctx, supervisor.Config{
		Spec: func(context.Context, supervisor.Attempt) (supervisor.Spec, error) {
			return script("exec sleep 1000"), nil
		},
		OnEvent: func(e supervisor.Event) {
			if e.Type != supervisor.Ready {
				return
			}
			handling.Store(true)
			time.Sleep(50 * time.Millisecond) // fifty pulses long
			handling.Store(false)
			stop()
		},
		PulseEvery: time.Millisecond,
		OnPulse: func() {
			if handling.Load() {
				wrong.Add(1)
			}
		},
	})
	if err != nil || wrong.Load() > 0 {
		t.Errorf("%d pulses while a handler hung; %v", wrong.Load(), err)
	}
}
