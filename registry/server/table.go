package server

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// change is one visible change; op is registered, updated, online, offline,
// unregistered or expired.
type change struct {
	revision uint64
	op       string
	entry    registry.Entry
}

type key struct {
	kind registry.Kind
	id   string
}

// table is who is there. Its methods take the moment at which they happen, and
// first let everything happen that was due by then. Moments are readings of
// time.Now and carry the monotonic clock, which alone counts between two of
// them: a wall clock that jumps changes nothing.
type table struct {
	limits
	max    int
	notify func(change) // called under the lock: must not block

	mu       sync.Mutex
	revision uint64
	entries  map[key]*registry.Entry
	looked   time.Time // the last moment a method was called with
	resumed  time.Time // end of the registry's last stall; silence before it counts against no one
	due      time.Time // nothing happens by itself before this
}

// advance brings the table to now. It is cheap unless something is due.
func (t *table) advance(now time.Time) {
	if t.stalled(t.looked, now) {
		t.resumed = now
	}
	t.looked = now
	if now.Before(t.due) {
		return
	}
	// Entries that come or come back meanwhile are due no sooner than this.
	t.due = now.Add(t.online)
	for k, e := range t.entries {
		status, gone := t.judge(now.Sub(t.silentSince(e)))
		switch {
		case gone:
			delete(t.entries, k)
			t.changed("expired", e)
			continue
		case e.Status == registry.Online && status == registry.Offline:
			e.Status = registry.Offline
			t.changed("offline", e)
		}
		if next := t.next(e.Status, t.silentSince(e)); next.Before(t.due) {
			t.due = next
		}
	}
}

func (t *table) silentSince(e *registry.Entry) time.Time {
	if e.LastSeen.Before(t.resumed) {
		return t.resumed
	}
	return e.LastSeen
}

func (t *table) changed(op string, e *registry.Entry) {
	t.revision++
	t.notify(change{t.revision, op, *e})
}

// sweep only lets happen what is due, and returns the revision that this led to.
func (t *table) sweep(now time.Time) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	return t.revision
}

// register keeps c, or says in a Problem why not.
func (t *table) register(now time.Time, c registry.Component) (kept registry.Entry, revision uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	k := key{c.Kind, c.ID}
	old, there := t.entries[k]
	if err := t.admit(old, c); err != nil {
		return registry.Entry{}, 0, err
	}
	e := &registry.Entry{Component: c, Status: registry.Online, RegisteredAt: now, LastSeen: now}
	t.entries[k] = e
	switch {
	case !there:
		t.changed("registered", e)
	case old.InstanceID != e.InstanceID:
		t.changed("registered", e) // another life
	default:
		e.RegisteredAt = old.RegisteredAt
		if !reflect.DeepEqual(old.Component, e.Component) {
			t.changed("updated", e)
		} else if old.Status != registry.Online {
			t.changed("online", e)
		}
	}
	return *e, t.revision, nil
}

// admit says what speaks against registering c where old is kept (nil: nothing).
func (t *table) admit(old *registry.Entry, c registry.Component) error {
	if c.Kind == registry.Queen {
		if err := t.admitQueen(c); err != nil {
			return err
		}
	}
	// A registration may be late: sent by a life that has ended since, or by one
	// that was thought dead and woke up. It must not push out its successor, who
	// is known to live.
	if old != nil && old.Status == registry.Online && registry.Older(c.InstanceID, old.InstanceID) {
		return superseded(c, old.InstanceID)
	}
	if old == nil && len(t.entries) >= t.max {
		return httpd.Errorf(http.StatusServiceUnavailable, "registry_full",
			"the registry holds %d components, which is its limit", t.max)
	}
	return nil
}

// admitQueen refuses a second queen while the first is online; one that is
// offline makes room for good, or it would come back beside its successor.
func (t *table) admitQueen(c registry.Component) error {
	for k, e := range t.entries {
		if k.kind != registry.Queen || sameQueen(*e, c) {
			continue
		}
		if e.Status == registry.Online {
			return httpd.Errorf(http.StatusConflict, registry.CodeConflict,
				"the queen %s at %s:%d is online; there is one queen at a time", e.ID, e.Hostname, e.Port)
		}
		if k.id != c.ID {
			delete(t.entries, k)
			t.changed("expired", e)
		}
	}
	return nil
}

// heartbeat notes that c lives. It never creates an entry: a late heartbeat must
// not bring back what was unregistered.
func (t *table) heartbeat(now time.Time, c registry.Component) (revision uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	e, err := t.find(c)
	if err != nil {
		return 0, err
	}
	e.LastSeen = now
	if e.Status != registry.Online {
		e.Status = registry.Online
		t.changed("online", e)
	}
	return t.revision, nil
}

func (t *table) unregister(now time.Time, c registry.Component) (revision uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now)
	e, err := t.find(c)
	if err != nil {
		return 0, err
	}
	delete(t.entries, key{c.Kind, c.ID})
	t.changed("unregistered", e)
	return t.revision, nil
}

// find gives the entry that c's sender may speak for.
func (t *table) find(c registry.Component) (*registry.Entry, error) {
	e, there := t.entries[key{c.Kind, c.ID}]
	if !there {
		return nil, httpd.Errorf(http.StatusNotFound, registry.CodeUnknown,
			"no %s %q is registered", c.Kind, c.ID)
	}
	if fenced(e.InstanceID, c.InstanceID) {
		return nil, superseded(c, e.InstanceID)
	}
	return e, nil
}

func superseded(c registry.Component, by string) error {
	return httpd.Errorf(http.StatusConflict, registry.CodeSuperseded,
		"instance %s of %s %q is superseded by instance %s", c.InstanceID, c.Kind, c.ID, by)
}

// list gives the entries that choose picks, by kind and id, and the revision
// that they are of. Their metadata is the table's own: not to be written to.
func (t *table) list(now time.Time, choose func(*registry.Entry) bool) ([]registry.Entry, uint64) {
	t.mu.Lock()
	t.advance(now)
	chosen := []registry.Entry{}
	for _, e := range t.entries {
		if choose(e) {
			chosen = append(chosen, *e)
		}
	}
	revision := t.revision
	t.mu.Unlock()
	slices.SortFunc(chosen, func(a, b registry.Entry) int {
		if a.Kind != b.Kind {
			return strings.Compare(string(a.Kind), string(b.Kind))
		}
		return strings.Compare(a.ID, b.ID)
	})
	return chosen, revision
}
