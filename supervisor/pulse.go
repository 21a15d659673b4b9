package supervisor

import (
	"cmp"
	"context"
	"time"
)

// pulsing makes the ticks on which OnPulse is called; without one there are none. The
// caller ends them.
func (s *supervision) pulsing() (stop func()) {
	if s.cfg.OnPulse == nil {
		return func() {}
	}
	t := time.NewTicker(cmp.Or(s.cfg.PulseEvery, time.Second))
	s.pulses = t.C
	return t.Stop
}

// meanwhile waits for what may take long, and goes on pulsing: a child that is slow to
// answer or to end must not make its supervisor look dead. What is not put through
// here (the guard's answer to a start, the handler of an event, a GPU's memory for some
// seconds) is waited for in silence.
func (s *supervision) meanwhile(wait func() error) error {
	if s.pulses == nil {
		return wait()
	}
	done := make(chan error, 1)
	go func() { done <- wait() }()
	for {
		select {
		case err := <-done:
			return err
		case <-s.pulses:
			s.cfg.OnPulse()
		}
	}
}

// pause is the function of that name, with pulses.
func (s *supervision) pause(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	return s.meanwhile(func() error {
		pause(ctx, d, early)
		return ctx.Err()
	}) == nil
}
