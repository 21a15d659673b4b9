package queen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// How the registry is followed, as /health says it.
const (
	noRegistry   = "none"
	awayRegistry = "away"
	connected    = "connected"
)

// follow keeps the table in step with the registry until ctx ends. While the
// registry is away the last view of it stays.
func (q *Queen) follow(ctx context.Context, reg *registry.Client) error {
	failures := 0
	for {
		answer, err := reg.Components(ctx)
		if err == nil && answer.Stale {
			err = answer.Cause
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failures++
			q.away(failures, err)
		default:
			failures = 0
			q.following.Store(connected)
			if q.table.learn(time.Now(), answer.Value) {
				q.hurry()
			}
		}
		if !sleep(ctx, jittered(q.cfg.PollInterval, rand.Float64())) {
			return nil
		}
	}
}

func (q *Queen) away(failures int, err error) {
	q.following.Store(awayRegistry)
	if failures == 1 || failures == 10 || failures%100 == 0 {
		q.log.Warn("the registry is away: going on with what is known", "failures", failures, "err", err)
	}
}

// announce keeps the queen in the registry until ctx ends.
func (q *Queen) announce(ctx context.Context, reg *registry.Client, self registry.Component) error {
	if err := reg.Announce(ctx, self); err != nil {
		// Another life of this queen is registered: it is the one to be found,
		// while whoever has our address may go on using it.
		q.log.Warn("not in the registry any more", "err", fmt.Errorf("queen %s: %w", self.ID, err))
	}
	return nil
}

// jittered is d, up to an eighth shorter, so that pollers drift apart.
func jittered(d time.Duration, chance float64) time.Duration {
	return d - time.Duration(chance*float64(d)/8)
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
