package queen

import (
	"maps"
	"reflect"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// book is everyone the queen knows. Like member it is a value: merge makes a new
// one.
type book struct {
	members map[key]member
	// dismissed are the instances that we were told are gone while the registry
	// still listed them: its news may be older than ours.
	dismissed map[key]string
	epoch     string    // of the registry whose list is in here
	revision  uint64    // of that list
	looked    time.Time // when the registry was last heard
	offset    offset    // of its clock
	stale     bool      // a member was replaced or dismissed since: the list is to be merged again
}

// merge is b with the registry's list in it. The list is the truth, but for what
// we learned from a member itself that the list can't know yet. A registry of
// another epoch has lost its memory: who is not on its list has not left.
func merge(b book, snap registry.Snapshot, c clock) book {
	next := book{
		members: maps.Clone(b.members), dismissed: map[key]string{},
		epoch: snap.Epoch, revision: snap.Revision, looked: b.looked,
	}
	if next.members == nil {
		next.members = map[key]member{}
	}
	sameEpoch := b.epoch == snap.Epoch
	if sameEpoch {
		next.offset = b.offset
	}
	next.offset.learn(snap.Queen, c)
	listed := make(map[key]bool, len(snap.Workers)+len(snap.Hives))
	for _, entries := range [][]registry.Entry{snap.Workers, snap.Hives} {
		for _, e := range entries {
			if next.put(b, e, sameEpoch, c) {
				listed[keyOf(e.Component)] = true
			}
		}
	}
	for k := range next.members {
		if !listed[k] {
			next.unlist(k, sameEpoch, c)
		}
	}
	return next
}

// amend makes b, in place, what merge makes of it, where b has the list before of the same
// epoch in it and is not stale. What the lists have in common costs next to nothing.
func (b *book) amend(before, snap registry.Snapshot, c clock) {
	b.revision = snap.Revision
	b.offset.learn(snap.Queen, c)
	for _, lists := range [][2][]registry.Entry{{before.Workers, snap.Workers}, {before.Hives, snap.Hives}} {
		differences(lists[0], lists[1], func(was, is *registry.Entry) {
			switch {
			case is == nil:
				k := keyOf(was.Component)
				delete(b.dismissed, k)
				b.unlist(k, true, c)
			case !b.put(*b, *is, true, c):
				b.unlist(keyOf(is.Component), true, c)
			}
		})
	}
}

// put takes an entry of the list over from b, which before it was, and reports whether it did.
func (next *book) put(b book, e registry.Entry, sameEpoch bool, c clock) bool {
	k := keyOf(e.Component)
	if instance, was := b.dismissed[k]; was && sameEpoch && instance == e.InstanceID {
		next.dismissed[k] = instance
		return false
	}
	delete(next.dismissed, k)
	held, known := b.members[k]
	next.offset.learn(&e, c)
	if known && outlives(held, e, c) {
		return false
	}
	m := updated(held, known, e, c)
	switch {
	case m.listed != registry.Offline:
		m.heard = time.Time{}
	case !known || held.listed != m.listed || held.InstanceID != m.InstanceID:
		m.heard = next.offset.here(e.LastSeen)
	}
	next.members[k] = m
	return true
}

// unlist notes that a member is not on the list.
func (next *book) unlist(k key, sameEpoch bool, c clock) {
	m, known := next.members[k]
	if !known || m.listed == "" {
		return
	}
	m.sighted, m.offlined = m.lastSign(c), m.listed == registry.Offline
	m.listed, m.left = "", sameEpoch
	next.members[k] = m
}

// differences calls do for what differs between two lists sorted by id; nil is not there.
func differences(before, after []registry.Entry, do func(was, is *registry.Entry)) {
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].ID < after[0].ID:
			do(&before[0], nil)
			before = before[1:]
		case len(before) == 0 || after[0].ID < before[0].ID:
			do(nil, &after[0])
			after = after[1:]
		default:
			if !unchanged(&before[0], &after[0]) {
				do(&before[0], &after[0])
			}
			before, after = before[1:], after[1:]
		}
	}
}

// unchanged may be wrong in calling two entries different that say the same. A watch's views
// share what has not changed, so their metadata is one map.
func unchanged(a, b *registry.Entry) bool {
	return a.InstanceID == b.InstanceID && a.Status == b.Status && a.Hostname == b.Hostname && a.Port == b.Port &&
		a.WorkerType == b.WorkerType && a.Model == b.Model && a.RegisteredAt.Equal(b.RegisteredAt) && a.LastSeen.Equal(b.LastSeen) &&
		reflect.ValueOf(a.Metadata).UnsafePointer() == reflect.ValueOf(b.Metadata).UnsafePointer()
}

// outlives reports whether held is a later life than the one on the list: it
// registered here, and the registry has yet to hear of it.
func outlives(held member, e registry.Entry, c clock) bool {
	return held.direct && !sameLife(held.Component, e.Component) &&
		registry.Older(e.InstanceID, held.InstanceID) && held.status(c) != registry.Offline
}

// updated is the member that e and what is held of it make together.
func updated(held member, known bool, e registry.Entry, c clock) member {
	if !known || !sameLife(held.Component, e.Component) {
		spawner, _ := e.Metadata["spawned_by"].(string)
		return member{
			Component: e.Component, spawnedBy: spawner, registeredAt: e.RegisteredAt,
			known: c.now, listed: e.Status, listedAt: c.now,
		}
	}
	m := held
	m.Component = e.Component
	if m.InstanceID == "" {
		m.InstanceID = held.InstanceID
	}
	if m.Metadata == nil {
		m.Metadata = held.Metadata
	}
	if !sameAddress(held.Component, e.Component) {
		m.ask = inquiry{}
	}
	if held.listed != e.Status {
		m.sighted = held.lastSign(c)
		m.listed, m.listedAt = e.Status, c.now
	}
	m.left, m.offlined = false, false
	return m
}
