package queen

import (
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// lookout looks now and then whether the worker that is waited for is still known.
type lookout struct {
	t     try
	gone  func()
	every time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	missing time.Time // since when it is not known; zero: it is
	over    bool
}

// lookFor calls gone when the worker has been unknown, or another life of it has taken its place,
// for as long as it takes to be offline: one that is stopped is unregistered first, and finishes
// what it has begun. The caller stops it when an answer comes.
func (t try) lookFor(gone func()) *lookout {
	l := &lookout{t: t, gone: gone, every: max(t.q.cfg.OfflineAfter/9, time.Millisecond)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.every, l.look)
	return l
}

func (l *lookout) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.timer.Stop()
}

func (l *lookout) look() {
	m, known := l.t.q.table.get(registry.Worker, l.t.to.id)
	known = known && sameLife(m.Component, l.t.to.life)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case l.over:
		return
	case known:
		l.missing = time.Time{}
	case l.missing.IsZero():
		l.missing = now
	case now.Sub(l.missing) >= l.t.q.cfg.OfflineAfter:
		l.gone()
		return
	}
	l.timer.Reset(l.every)
}
