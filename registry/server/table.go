package server

import (
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

type key struct {
	kind registry.Kind
	id   string
}

// table is who is there. Whoever is asked about is judged first for the moment at which
// that happens, and so is everybody else, a few at a time.
//
// Writers take turns under a lock, and publish a view when they have changed something
// that shows. Readers take the last view and never wait: see current.
type table struct {
	limits
	clock      clock
	max        int // components
	maxBytes   int // of their JSON
	perAddress int // components registered from one other machine
	log        *journal
	view       atomic.Pointer[view]

	mu        sync.Mutex
	slots     map[key]*slot
	sorted    *btree.BTreeG[*record] // by kind and id
	living    queue                  // who is online
	silent    queue                  // who is offline
	bytes     int
	addresses map[netip.Addr]*address
	looked    moment // when a method was called last
	resumed   moment // end of the registry's last stall; silence before it counts against no one
	revision  uint64
	fresh     []*change // since a view was published last
}

// address is a machine that components were registered from.
type address struct {
	ip    netip.Addr
	count int
}

func newTable(l limits, c clock, log *journal) *table {
	t := &table{
		limits: l, clock: c, log: log,
		slots:     map[key]*slot{},
		addresses: map[netip.Addr]*address{},
		sorted: btree.NewBTreeGOptions(func(a, b *record) bool {
			if a.Kind != b.Kind {
				return a.Kind < b.Kind
			}
			return a.ID < b.ID
		}, btree.Options{NoLocks: true}), // the table has its own
	}
	t.view.Store(&view{all: t.sorted.Copy()})
	return t
}

// chunk is how many of those that are due are judged at once: well under a millisecond's
// work, since others wait for the lock meanwhile.
const chunk = 256

// advance brings the table to now, or a chunk nearer: then it reports true. The lock is held.
func (t *table) advance() (more bool) {
	now := t.clock.now()
	if t.stalled(t.looked, now) {
		t.resumed = now
	}
	t.looked = now
	for range chunk {
		s, when := t.nextDue()
		if s == nil || when > t.looked {
			return false
		}
		t.settle(s)
	}
	return true
}

// nextDue is who is to be judged next, and when.
func (t *table) nextDue() (*slot, moment) {
	a, b := t.living.first, t.silent.first
	switch {
	case a == nil && b == nil:
		return nil, 0
	case b == nil || (a != nil && t.due(a) <= t.due(b)):
		return a, t.due(a)
	default:
		return b, t.due(b)
	}
}

func (t *table) due(s *slot) moment { return t.next(s.now.Status, t.silentSince(s)) }

func (t *table) silentSince(s *slot) moment { return max(s.lastSeen(), t.resumed) }

// settle makes of s what it is after its silence, and reports whether it is still there.
func (t *table) settle(s *slot) bool {
	status, gone := t.judge(t.looked - t.silentSince(s))
	switch {
	case gone:
		t.drop(s, registry.OpExpired)
		return false
	case status == registry.Offline && s.now.Status == registry.Online:
		t.replace(s, s.now.with(registry.Offline), registry.OpOffline)
	}
	return true
}

// find is the slot of that name, judged; nil when there is none.
func (t *table) find(k key) *slot {
	if s := t.slots[k]; s != nil && t.settle(s) {
		return s
	}
	return nil
}

// tick lets a chunk of what is due happen, and says when there is more to do: at once,
// at a moment, or (0) for a reason yet to come.
func (t *table) tick() (again bool, when moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	again = t.advance()
	t.publish()
	if s, due := t.nextDue(); s != nil {
		when = due
	}
	return again, when
}

// current is the newest view. Should nobody be writing, what is due happens first; else
// the view is as of the last change, and the reader does not wait for the next.
func (t *table) current() *view {
	if t.mu.TryLock() {
		t.advance()
		t.publish()
		t.mu.Unlock()
	}
	return t.view.Load()
}

// registration is one component that is to be kept, and what came of that.
type registration struct {
	registry.Component
	from netip.Addr // who sent it; the zero address is this machine

	kept     *record
	revision uint64
	err      error // a Problem that says why it was not kept
}

// register keeps all of them that it can.
func (t *table) register(_ context.Context, all ...*registration) error {
	fresh := make([]*record, len(all))
	for i, r := range all { // before the lock, since it takes longer than all that follows
		var err error
		e := registry.Entry{Component: r.Component, Status: registry.Online, RegisteredAt: t.clock.wall()}
		if fresh[i], err = newRecord(e, &slot{}); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance()
	defer t.publish()
	for i, r := range all {
		if r.kept, r.err = t.keep(fresh[i], r.from); r.err == nil {
			r.revision = t.revision
		}
	}
	return nil
}

// keep makes fresh the version of its component that holds, unless the one that does says
// the same, and returns which one it is.
func (t *table) keep(fresh *record, from netip.Addr) (*record, error) {
	s := t.find(key{fresh.Kind, fresh.ID})
	if err := t.admit(s, fresh, from); err != nil {
		return nil, err
	}
	if s == nil {
		t.add(fresh, from)
		return fresh, nil
	}
	old := s.now
	t.touch(s)
	t.move(s, from)
	fresh.slot = s
	switch {
	case old.InstanceID != fresh.InstanceID:
		t.replace(s, fresh, registry.OpRegistered) // another life
	case !reflect.DeepEqual(old.Component, fresh.Component):
		// The same life began when it began.
		e := fresh.Entry
		e.RegisteredAt = old.RegisteredAt
		again, err := newRecord(e, s)
		if err != nil {
			return nil, err
		}
		t.replace(s, again, registry.OpUpdated)
	case old.Status != registry.Online:
		t.replace(s, old.with(registry.Online), registry.OpOnline)
	}
	return s.now, nil
}

// admit says what speaks against fresh in the place of s (nil: in a new one).
func (t *table) admit(s *slot, fresh *record, from netip.Addr) error {
	if fresh.Kind == registry.Queen {
		if err := t.admitQueen(fresh.Component); err != nil {
			return err
		}
	}
	// A registration may be late: sent by a life that has ended since, or by one
	// that was thought dead and woke up. It must not push out its successor, who
	// is known to live.
	if s != nil && s.now.Status == registry.Online && registry.Older(fresh.InstanceID, s.now.InstanceID) {
		return superseded(fresh.Component.Kind, fresh.ID, fresh.InstanceID, s.now.InstanceID)
	}
	size := fresh.status // what the client has a say in
	if s != nil {
		size -= s.now.status
	}
	if (s == nil && len(t.slots) >= t.max) || (size > 0 && t.bytes+size > t.maxBytes) {
		return httpd.Errorf(http.StatusServiceUnavailable, "registry_full",
			"the registry holds %d components in %d bytes; its limits are %d and %d", len(t.slots), t.bytes, t.max, t.maxBytes)
	}
	if a := t.addresses[from]; a != nil && a.count >= t.perAddress && (s == nil || s.from != a) {
		return httpd.Errorf(http.StatusTooManyRequests, "too_many_components",
			"%d components are registered from %s, which is the limit for one machine", a.count, from)
	}
	return nil
}

// admitQueen refuses a second queen while the first is online; one that is
// offline makes room for good, or it would come back beside its successor.
func (t *table) admitQueen(c registry.Component) error {
	for _, q := range (&view{all: t.sorted}).of(registry.Queen) {
		if !t.settle(q.slot) || sameQueen(q.Entry, c) {
			continue
		}
		if q.slot.now.Status == registry.Online {
			return httpd.Errorf(http.StatusConflict, registry.CodeConflict,
				"the queen %s at %s:%d is online; there is one queen at a time", q.ID, q.Hostname, q.Port)
		}
		if q.ID != c.ID {
			t.drop(q.slot, registry.OpExpired)
		}
	}
	return nil
}

// life is one instance of a component, as a heartbeat names it.
type life struct {
	key
	instance string
}

// heartbeat notes that those live, and says of each what is wrong with that: nil for nothing.
// It never creates an entry: a late heartbeat must not bring back what was unregistered.
func (t *table) heartbeat(_ context.Context, verdicts []error, lives ...life) (revision uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.publish()
	t.advance()
	for i, who := range lives {
		s, err := t.speaker(who)
		if verdicts[i] = err; err != nil {
			continue
		}
		t.touch(s)
		if s.now.Status != registry.Online {
			t.replace(s, s.now.with(registry.Online), registry.OpOnline)
		}
	}
	return t.revision, nil
}

// unregister forgets who.
func (t *table) unregister(_ context.Context, who life) (revision uint64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.publish()
	t.advance()
	s, err := t.speaker(who)
	if err != nil {
		return 0, err
	}
	t.drop(s, registry.OpUnregistered)
	return t.revision, nil
}

// speaker gives the slot that who may speak for.
func (t *table) speaker(who life) (*slot, error) {
	s := t.find(who.key)
	if s == nil {
		return nil, httpd.Errorf(http.StatusNotFound, registry.CodeUnknown, "no %s %q is registered", who.kind, who.id)
	}
	if fenced(s.now.InstanceID, who.instance) {
		return nil, superseded(who.kind, who.id, who.instance, s.now.InstanceID)
	}
	return s, nil
}

func superseded(kind registry.Kind, id, instance, by string) error {
	return httpd.Errorf(http.StatusConflict, registry.CodeSuperseded,
		"instance %s of %s %q is superseded by instance %s", instance, kind, id, by)
}
