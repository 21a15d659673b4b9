package worker

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// loadSteps is how many progress lines a load writes; stuckAt of them is as far
// as one comes that is never ready.
const (
	loadSteps = 10
	stuckAt   = 9
)

// live takes the worker through its phases until ctx ends. The "model" is its
// local variable: memory that is really there, and goes when it returns.
func (w *Worker) live(ctx context.Context) {
	model, done := w.load(ctx)
	if done {
		w.phase.Store(int32(ready))
		w.log.Info("model loaded (simulated)", "model", w.cfg.Model, "bytes", w.cfg.Memory)
		if after := w.cfg.Faults.UnhealthyAfter; after > 0 && pause(ctx, after) == nil {
			w.phase.Store(int32(failing))
			w.log.Error("unhealthy from now on, as asked for", "after", after)
		}
	}
	<-ctx.Done()
	if len(model) == 0 {
		return
	}
	runtime.KeepAlive(model)
	model = nil
	debug.FreeOSMemory() // a launcher that waits for memory to settle sees it go
}

// load allocates the model step by step over LoadTime, as an engine does. It
// reports false when it was not to finish.
func (w *Worker) load(ctx context.Context) (model [][]byte, done bool) {
	for step := 1; step <= loadSteps; step++ {
		if err := pause(ctx, w.cfg.LoadTime/loadSteps); err != nil {
			return model, false
		}
		if w.cfg.Memory > 0 {
			share := w.cfg.Memory*int64(step)/loadSteps - w.cfg.Memory*int64(step-1)/loadSteps
			model = append(model, touched(share))
		}
		w.percent.Store(int32(100 * step / loadSteps))
		w.log.Info("loading the model (simulated)", "percent", 100*step/loadSteps)
		if w.cfg.Faults.NeverReady && step == stuckAt {
			w.log.Warn("stuck, as asked for: never ready", "percent", 100*step/loadSteps)
			return model, false
		}
	}
	return model, true
}

// touched allocates n bytes and writes to every page: untouched ones would not
// be in memory at all.
func touched(n int64) []byte {
	block := make([]byte, n)
	for i := 0; i < len(block); i += os.Getpagesize() {
		block[i] = 1
	}
	return block
}

// pause waits for d, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
