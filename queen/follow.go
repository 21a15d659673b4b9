package queen

import (
	"context"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// How the registry is followed, as /health says it.
const (
	noRegistry   = "none"
	awayRegistry = "away"
	connected    = "connected"
)

// orientation is how long she waits for the registry's first view before what she knows from
// last time has to do.
const orientation = 3 * time.Second

// follow keeps the table in step with the registry until ctx ends. While the
// registry is away the last view of it stays.
func (q *Queen) follow(ctx context.Context, reg *registry.Client) error {
	orient := sync.OnceFunc(func() { close(q.oriented) })
	for view := range reg.Watch(ctx) {
		if view.Connected {
			q.following.Store(connected)
		} else {
			q.following.Store(awayRegistry)
		}
		began := time.Now()
		news := q.table.learn(began, view)
		if view.Connected {
			orient()
		}
		if !news {
			continue
		}
		q.hurry()
		// Where much changes, views come as fast as they are taken in. The next one waits, so
		// that a quarter of a processor goes into that at most.
		if !sleep(ctx, 3*time.Since(began)) {
			return nil
		}
	}
	return nil
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
