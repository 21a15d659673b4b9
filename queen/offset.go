package queen

import (
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// offset is how much later our clock is than the registry's, as far as can be told. It says when
// it has last heard of a component with each change alone, and we hear of a change after it: so the
// least difference is the best, and tells what comes later as it is, or a little too late.
type offset struct {
	known bool
	least time.Duration
}

// learn goes by what the registry tells of an entry; nil tells nothing.
func (o *offset) learn(e *registry.Entry, c clock) {
	if e == nil || e.LastSeen.IsZero() {
		return
	}
	if ahead := c.now.Sub(e.LastSeen); !o.known || ahead < o.least {
		*o = offset{true, ahead}
	}
}

// here is a moment of the registry's clock by ours; zero if that can't be told.
func (o offset) here(there time.Time) time.Time {
	if !o.known || there.IsZero() {
		return time.Time{}
	}
	return there.Add(o.least)
}
