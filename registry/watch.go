package registry

import (
	"context"
	"iter"
	"sync"
	"time"
)

// View is what a watch knows at a moment.
type View struct {
	// Snapshot is everything at one revision; with an empty Epoch, nothing is known yet.
	// Views share what it points to: it is to be read alone. When a component was last seen
	// is as of its last change.
	Snapshot Snapshot
	// Connected: the registry tells of every change. If not, Snapshot is as it was last known.
	Connected bool
	Cause     error     // why it is not connected; nil while it is, or was not tried yet
	AsOf      time.Time // when the registry was last heard, by this machine's clock
}

// Watch yields one view after another until ctx ends: the last one known at once, if there
// is any, then one for what changes, milliseconds later, and one at least every 15 s, in
// which nothing but AsOf may have moved. Who takes long over a view gets the newest one
// next, and holds nobody up.
//
// A registry that is away ends nothing: the last view comes again, not connected, and the
// next one when it is back. One that can't be watched, since it is older, has too many
// watchers, or is behind a proxy that keeps streams back, is polled meanwhile.
func (c *Client) Watch(ctx context.Context) iter.Seq[View] {
	return func(yield func(View) bool) {
		ctx, stop := context.WithCancel(ctx)
		f := newFollower(c)
		var following sync.WaitGroup
		following.Go(func() { f.run(ctx) })
		defer following.Wait()
		defer stop()
		for {
			select {
			case <-f.news:
			case <-ctx.Done():
			}
			if ctx.Err() != nil || !yield(f.view()) {
				return
			}
		}
	}
}

// view is what the follower knows now.
func (f *follower) view() View {
	f.mu.Lock()
	v := View{Snapshot: f.copy.snapshot(), Connected: f.connected, Cause: f.cause, AsOf: f.asOf}
	f.mu.Unlock()
	if v.Connected {
		f.c.remember(v.Snapshot, v.AsOf)
	}
	return v
}

// recall begins with what was known last.
func (f *follower) recall() {
	f.c.load()
	all, asOf, ok := f.c.lastSnapshot(time.Time{})
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copy.reset(all)
	f.asOf = asOf
	f.tell()
}

// heard notes that the registry lives.
func (f *follower) heard() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asOf = time.Now()
}

// connect shows that the copy is what the registry knows.
func (f *follower) connect() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connected, f.cause = true, nil
	f.tell()
}

// disconnect shows that the copy may be out of date.
func (f *follower) disconnect(cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.connected, f.cause = false, cause
	f.tell()
}

func (f *follower) begin(all Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copy.reset(all)
}

func (f *follower) apply(c Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.copy.apply(c)
}

// place is where in the registry's changes the copy is.
func (f *follower) place() (epoch string, revision uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.copy.at.Epoch, f.copy.at.Revision
}

// tell has the consumer look. Who has not looked since the last time will see it all at once.
func (f *follower) tell() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}
