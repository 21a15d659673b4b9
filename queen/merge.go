package queen

import (
	"maps"
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
	stale     bool      // a member was replaced since: the list is to be merged again
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
	listed := map[key]bool{}
	for _, entries := range [][]registry.Entry{snap.Workers, snap.Hives} {
		for _, e := range entries {
			k := keyOf(e.Component)
			if instance, was := b.dismissed[k]; was && sameEpoch && instance == e.InstanceID {
				next.dismissed[k] = instance
				continue
			}
			held, known := b.members[k]
			if known && outlives(held, e, c) {
				continue
			}
			listed[k] = true
			next.members[k] = updated(held, known, e, c)
		}
	}
	for k, m := range next.members {
		if m.listed == "" || listed[k] {
			continue
		}
		m.sighted = m.lastSign(c)
		m.listed, m.left = "", sameEpoch
		next.members[k] = m
	}
	return next
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
	m.left = false
	return m
}
