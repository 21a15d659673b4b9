package supervisor

import (
	"context"
	"os"

	"github.com/rbee-launch/rbee-launch/internal/gpu"
)

// gpus is what is known of the GPUs that a child may use.
type gpus struct {
	devices *gpu.Devices // nil for none
	before  gpu.Memory   // in use without the child, as far as that is known
}

// devices are the GPUs that a child may use, or nil.
func devices(spec Spec) *gpu.Devices {
	switch {
	case !spec.GPU:
		return nil
	case spec.Env == nil:
		return gpu.Find(os.Environ())
	default:
		return gpu.Find(spec.Env)
	}
}

// measure notes, before a life, what its GPUs hold without it.
func (s *supervision) measure(ctx context.Context, spec Spec) {
	found := devices(spec)
	if found == nil {
		return
	}
	before, err := found.Used(ctx)
	if err != nil {
		s.cfg.Log.Debug("the GPU's memory will not be waited for", "err", err)
		return
	}
	s.gpus = gpus{found, before}
}

// settle waits, after a life, until the memory that it had on GPUs is free, or ctx or
// the patience with a stop ends.
func (s *supervision) settle(ctx context.Context, n int) {
	if s.gpus.devices == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.cfg.Hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	waiting := func(left int64) { s.emit(Event{Type: Settling, Life: n, Left: left}) }
	_, settled, err := s.gpus.devices.Settle(ctx, s.gpus.before, waiting)
	switch {
	case ctx.Err() != nil:
		return // a stop waits again
	case err != nil:
		s.cfg.Log.Debug("the GPU's memory was not waited for", "err", err)
	case !settled:
		s.cfg.Log.Warn("the memory of the last life on the GPU is not free yet")
	}
	s.gpus = gpus{}
}
