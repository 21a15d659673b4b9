package server

import (
	"net/netip"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// moment is a time since the registry was started, by the monotonic clock. Nothing that is
// judged here can see the wall clock, so that one which jumps changes nothing.
type moment = time.Duration

// clock tells moments, and what they are called on the wall, for people.
type clock struct {
	start time.Time
	wall  func() time.Time
}

func (c clock) now() moment { return time.Since(c.start) }

// born is the wall clock's time of the moment 0, as the wall clock goes at present.
func (c clock) born() time.Time { return c.wall().Add(-c.now()).UTC() }

// limits are how long a component may be silent.
type limits struct {
	online time.Duration // up to this, it is online
	remove time.Duration // from this on, it is gone
}

// judge says what a component is after a silence; gone means forgotten.
func (l limits) judge(silence time.Duration) (status registry.Status, gone bool) {
	switch {
	case silence <= l.online:
		return registry.Online, false
	case silence < l.remove:
		return registry.Offline, false
	default:
		return "", true
	}
}

// next is the first moment at which judge's word on a component of this status,
// silent since from, is another.
func (l limits) next(status registry.Status, from moment) moment {
	if status == registry.Online {
		return from + l.online + 1
	}
	return from + l.remove
}

// stalled reports whether the registry was itself suspended or starved between
// two looks at its table. Half the window is the interval at which components
// beat: after a shorter gap a live component's silence is still within the
// window (half of it before the gap, half during it); after a longer one its
// heartbeats may be lost, and silence says nothing.
func (l limits) stalled(last, now moment) bool { return now-last > l.online/2 }

// fenced reports whether a message of one instance concerns another one's life.
// It takes both names to tell: a component may do without.
func fenced(kept, sender string) bool {
	return kept != "" && sender != "" && kept != sender
}

// sameQueen tells a queen that comes back from a second one. Queens tend to
// share one id, so it needs either the instance or the address to agree.
func sameQueen(kept registry.Entry, c registry.Component) bool {
	if kept.ID != c.ID {
		return false
	}
	sameLife := c.InstanceID != "" && kept.InstanceID == c.InstanceID
	return sameLife || (kept.Hostname == c.Hostname && kept.Port == c.Port)
}

// reachableHost is registry.Reachable for who sent its request from remote.
func reachableHost(hostname, remote string) string {
	caller, err := netip.ParseAddrPort(remote)
	if err != nil {
		return hostname
	}
	return registry.Reachable(hostname, caller.Addr().String())
}
