package supervisor

import (
	"context"
	"sync"
)

// passOn has the child get what comes on Config.Signals, also while it is being
// stopped, until stop is called.
func (l *life) passOn(ctx context.Context) (stop func()) {
	signals := l.s.cfg.Signals
	if signals == nil {
		return func() {}
	}
	for len(signals) > 0 {
		<-signals // meant for an earlier life, which had ended
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var passing sync.WaitGroup
	passing.Go(func() { l.child.PassOn(ctx, signals) })
	return func() {
		cancel()
		passing.Wait()
	}
}
