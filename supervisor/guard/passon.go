package guard

import (
	"context"
	"os"
	"syscall"
)

// PassOn sends each signal that comes to the child, and to it alone: what its own
// children are to hear of it is for the child to say. It returns once ctx
// ends, the child has exited, or signals is closed.
func (c *Child) PassOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case sig, open := <-signals:
			if !open {
				return
			}
			if s, ok := sig.(syscall.Signal); ok {
				_ = c.g.ask(request{Op: opTell, Child: c.id, Signal: int(s)}) // a dead guard shows as Exited
			}
		case <-ctx.Done():
			return
		case <-c.exited:
			return
		}
	}
}

// tellWard sends a signal to a child that has not been reaped, whose pid is its own still.
func (m *minder) tellWard(id uint64, sig syscall.Signal) {
	if w := m.wards[id]; w != nil && !w.exited {
		_ = syscall.Kill(w.pid, sig) // one that has just ended misses nothing
	}
}
