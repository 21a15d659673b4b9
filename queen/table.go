package queen

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// table is the book under a lock, with the time of each change.
type table struct {
	offline, forget, retry time.Duration
	max                    int

	mu    sync.Mutex
	book  book
	swept time.Time
	woke  time.Time
	told  bool              // the registry tells of every change
	list  registry.Snapshot // the last one that it told; not to be written to
}

func newTable(cfg Config) *table {
	return &table{
		offline: cfg.OfflineAfter, forget: cfg.ForgetAfter, retry: cfg.FetchRetry, max: cfg.MaxWorkers,
		book: book{members: map[key]member{}, dismissed: map[key]string{}},
	}
}

// clock is read under the lock.
func (t *table) clock(now time.Time) clock {
	c := clock{now: now, looked: t.book.looked, woke: t.woke, offline: t.offline, forget: t.forget}
	if t.told { // so its list holds, also while it has nothing to say
		c.looked = now
	}
	return c
}

// register keeps a worker that made itself known here.
func (t *table) register(now time.Time, fresh member) (client.Worker, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, k := t.clock(now), keyOf(fresh.Component)
	held, known := t.book.members[k]
	if !known && len(t.book.members) >= t.max {
		return client.Worker{}, httpd.Errorf(http.StatusServiceUnavailable, "full", "%d workers are known, which is the limit", t.max)
	}
	fresh.direct, fresh.known, fresh.registeredAt = true, now, now
	if known {
		// An older life is refused while the later one lives: its message was
		// under way for long. Once that is offline the ids prove nothing, since
		// a clock may have been set back between the two.
		if registry.Older(fresh.InstanceID, held.InstanceID) && held.status(c) != registry.Offline {
			return client.Worker{}, superseded(held, fresh.InstanceID)
		}
		if sameLife(held.Component, fresh.Component) {
			fresh = registeredAgain(held, fresh, c)
		}
	}
	delete(t.book.dismissed, k)
	t.book.members[k] = fresh
	t.book.stale = true // the list may say more of it than is in this registration
	return workerView(fresh, c), nil
}

// registeredAgain is held, which lives on, with what it says now. Its
// capabilities are asked for anew.
func registeredAgain(held, fresh member, c clock) member {
	m := held
	m.Component, m.spawnedBy, m.given = fresh.Component, fresh.spawnedBy, fresh.given
	m.InstanceID = cmp.Or(m.InstanceID, held.InstanceID)
	m.direct, m.ask = true, inquiry{}
	m.left, m.offlined = false, false
	if held.status(c) == registry.Offline { // it starts over: online with its next beat
		m.beat, m.sighted, m.heard, m.known = time.Time{}, time.Time{}, time.Time{}, c.now
	}
	return m
}

func superseded(held member, instance string) error {
	return httpd.Errorf(http.StatusConflict, registry.CodeSuperseded,
		"instance %s of %q is superseded by %s", instance, held.ID, held.InstanceID)
}

// find is the worker that a message is about. t.mu is held.
func (t *table) find(id, instance string) (member, error) {
	m, known := t.book.members[key{registry.Worker, id}]
	switch {
	case !known:
		return member{}, httpd.Errorf(http.StatusNotFound, registry.CodeUnknown, "the worker %q is not known: register it", id)
	case instance == "" || m.InstanceID == "" || instance == m.InstanceID:
		return m, nil
	case registry.Older(m.InstanceID, instance): // a later life that we have not met
		return member{}, httpd.Errorf(http.StatusNotFound, registry.CodeUnknown, "instance %s of %q is not known: register it", instance, id)
	default:
		return member{}, superseded(m, instance)
	}
}

func (t *table) heartbeat(now time.Time, id, instance string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, err := t.find(id, instance)
	if err != nil {
		return err
	}
	m.beat, m.direct = now, true
	t.book.members[keyOf(m.Component)] = m
	return nil
}

// dismiss forgets a worker that is gone, as its spawner says.
func (t *table) dismiss(id, instance string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, err := t.find(id, instance)
	if err != nil {
		return err
	}
	k := keyOf(m.Component)
	delete(t.book.members, k)
	if !t.book.looked.IsZero() { // without a registry no list can bring it back
		t.book.dismissed[k] = m.InstanceID
		t.book.stale = true // it may list an earlier life
	}
	return nil
}

// learn puts a view of the registry in, and reports whether it held news. A list
// that we have costs next to nothing, however long it is.
func (t *table) learn(now time.Time, v registry.View) (news bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clock(now) // the list that we have held until now, if it was told
	t.told = v.Connected
	remembered := !v.Connected && t.book.epoch == ""
	switch {
	case v.Snapshot.Epoch == "", remembered && v.Cause == nil:
		return false // nothing, or from before we asked
	case v.Snapshot.Epoch == t.book.epoch && v.Snapshot.Revision == t.book.revision && (!t.book.stale || !v.Connected):
		t.book.looked = v.AsOf
		return false
	case remembered:
		v.Snapshot = unconfirmed(v.Snapshot)
	}
	if t.book.epoch == v.Snapshot.Epoch && !t.book.stale {
		t.book.amend(t.list, v.Snapshot, c)
	} else {
		t.book = merge(t.book, v.Snapshot, c)
	}
	t.list = v.Snapshot
	t.book.looked, t.book.stale = v.AsOf, remembered
	return true
}

// unconfirmed is a list from a life before this one: of nobody on it do we know that it lives.
func unconfirmed(snap registry.Snapshot) registry.Snapshot {
	snap.Workers, snap.Hives = slices.Clone(snap.Workers), slices.Clone(snap.Hives)
	for _, entries := range [][]registry.Entry{snap.Workers, snap.Hives} {
		for i := range entries {
			if entries[i].Status == registry.Online {
				entries[i].Status = registry.Registered
			}
		}
	}
	return snap
}

// sweep forgets who is gone, and returns them. It merges the list again where that is due.
func (t *table) sweep(now time.Time) (gone []member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if stalled(t.swept, now, t.offline) {
		t.woke = now
	}
	t.swept = now
	c := t.clock(now)
	if t.book.stale && t.told {
		t.book = merge(t.book, t.list, c)
	}
	for k, m := range t.book.members {
		if m.gone(c) {
			delete(t.book.members, k)
			gone = append(gone, m)
		}
	}
	return gone
}

// due are the members to ask for their capabilities now; each is marked as being
// asked until answered is called for it.
func (t *table) due(now time.Time) (ask []member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clock(now)
	for k, m := range t.book.members {
		if m.wantsAsking(c, t.retry) {
			m.ask.running = true
			t.book.members[k] = m
			ask = append(ask, m)
		}
	}
	return ask
}

// answered notes what came of asking m, unless another life took its place.
func (t *table) answered(now time.Time, asked member, caps map[string]any, settled bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := keyOf(asked.Component)
	m, known := t.book.members[k]
	if !known || !sameLife(m.Component, asked.Component) || !sameAddress(m.Component, asked.Component) {
		return
	}
	m.ask = inquiry{settled: settled, tried: now}
	if settled {
		m.own = caps
	}
	t.book.members[k] = m
}

func (t *table) get(kind registry.Kind, id string) (member, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, known := t.book.members[key{kind, id}]
	return m, known
}

func (t *table) workers(now time.Time) []client.Worker {
	list := []client.Worker{} // an empty list is [] in JSON, not null
	t.each(now, registry.Worker, func(m member, c clock) { list = append(list, workerView(m, c)) })
	slices.SortFunc(list, func(a, b client.Worker) int { return cmp.Compare(a.WorkerID, b.WorkerID) })
	return list
}

func (t *table) hives(now time.Time) []client.Hive {
	list := []client.Hive{}
	t.each(now, registry.Hive, func(m member, c clock) { list = append(list, hiveView(m, c)) })
	slices.SortFunc(list, func(a, b client.Hive) int { return cmp.Compare(a.HiveID, b.HiveID) })
	return list
}

// class is what members are counted by.
type class struct {
	kind   registry.Kind
	status registry.Status
}

func (t *table) count(now time.Time) map[class]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, found := t.clock(now), map[class]int{}
	for k, m := range t.book.members {
		found[class{k.kind, m.status(c)}]++
	}
	return found
}

func (t *table) each(now time.Time, kind registry.Kind, do func(member, clock)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.clock(now)
	for k, m := range t.book.members {
		if k.kind == kind {
			do(m, c)
		}
	}
}

func workerView(m member, c clock) client.Worker {
	w := client.Worker{
		WorkerID: m.ID, InstanceID: m.InstanceID, Hostname: m.Hostname, Port: m.Port,
		WorkerType: m.WorkerType, Model: m.Model, Status: m.status(c), SpawnedBy: m.spawnedBy,
		KnownFrom: []string{}, RegisteredAt: m.registeredAt.UTC(), LastSeen: m.lastSeen(c).UTC(), Metadata: m.Metadata,
	}
	if m.direct {
		w.KnownFrom = append(w.KnownFrom, "queen")
	}
	if m.listed != "" {
		w.KnownFrom = append(w.KnownFrom, "registry")
	}
	w.Capabilities, w.CapabilitiesFrom = m.capabilities()
	return w
}

func hiveView(m member, c clock) client.Hive {
	h := client.Hive{
		HiveID: m.ID, InstanceID: m.InstanceID, Hostname: m.Hostname, Port: m.Port, Status: m.status(c),
		RegisteredAt: m.registeredAt.UTC(), LastSeen: m.lastSeen(c).UTC(), Metadata: m.Metadata,
	}
	h.Capabilities, h.CapabilitiesFrom = m.capabilities()
	return h
}
