package queen

import (
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// member is what is known of one life of a worker or hive. It is a value: what
// changes it returns another.
type member struct {
	registry.Component
	spawnedBy    string
	given        map[string]any // capabilities, as the spawner sent them
	own          map[string]any // capabilities, as the member itself told
	ask          inquiry
	registeredAt time.Time
	known        time.Time // since when this life is known here, or known again

	direct bool      // it registered or beat here
	beat   time.Time // its last heartbeat here; zero is none

	listed   registry.Status // what the registry's last list says; "" when it is not on it
	listedAt time.Time       // since when the list says that, or said it last
	heard    time.Time       // when the registry last heard of it that calls it offline, by our clock; zero if that can't be told
	sighted  time.Time       // when the list said last that it is online, if it no longer does
	left     bool            // it was on this registry's list and is no more
	offlined bool            // it is on no list, and was offline on the last that it was on
}

// hive is the id of the hive that is its parent; "" when none is.
func (m member) hive() string {
	if id := m.Hive(); id != "" {
		return id
	}
	return registry.Component{Metadata: map[string]any{"spawned_by": m.spawnedBy}}.Hive()
}

// inquiry is how far we are with asking a member for its capabilities.
type inquiry struct {
	running bool
	settled bool      // it answered, or has none to tell
	tried   time.Time // when it did not answer; zero: not asked yet
}

// key names a member; workers and hives may share ids.
type key struct {
	kind registry.Kind
	id   string
}

func keyOf(c registry.Component) key { return key{c.Kind, c.ID} }

// clock is what silence is judged by.
type clock struct {
	now     time.Time
	looked  time.Time // up to when the registry's list held: now, while it tells of every change
	woke    time.Time // when we last woke from being stopped ourselves; silence counts from there
	offline time.Duration
	forget  time.Duration
}

// status: registered when known, online from the first sign of life on, offline
// after a silence, or when the registry says so, or said so last, and no beat since it
// fell silent there denies it; or when it left the registry and never beat here.
func (m member) status(c clock) registry.Status {
	switch {
	case (m.listed == registry.Offline || m.offlined) && !m.beat.After(m.doubtful()):
		return registry.Offline
	case m.left && m.beat.IsZero():
		return registry.Offline
	case c.now.Sub(m.since(c)) >= c.offline:
		return registry.Offline
	case m.lastSign(c).IsZero():
		return registry.Registered
	default:
		return registry.Online
	}
}

// lastSign is when the member was last known to live; zero is never.
func (m member) lastSign(c clock) time.Time {
	if m.listed == registry.Online {
		return latest(m.beat, m.sighted, c.looked)
	}
	return latest(m.beat, m.sighted)
}

// doubtful is up to when beats here say nothing against a registry that calls the member
// offline. Who beats in both places does so at different moments, so that the last beat here may be
// a little later than the last one there: by half of the silence that the registry waits for.
func (m member) doubtful() time.Time {
	if m.heard.IsZero() {
		return m.listedAt
	}
	return m.heard.Add(m.listedAt.Sub(m.heard) / 2)
}

// lastSeen is lastSign as people are told it: of those that the registry calls offline we know
// better when that was than by when it said so.
func (m member) lastSeen(c clock) time.Time {
	if m.listed != registry.Online && !m.heard.IsZero() {
		return latest(m.beat, m.heard)
	}
	return m.lastSign(c)
}

// since is when the present silence began.
func (m member) since(c clock) time.Time { return latest(m.lastSign(c), m.known, c.woke) }

// gone reports whether to forget the member: it left the registry and does not
// beat here either, or has been offline for long and is on no list.
func (m member) gone(c clock) bool {
	if m.left && (m.beat.IsZero() || c.now.Sub(latest(m.beat, c.woke)) >= c.offline) {
		return true
	}
	return m.listed == "" && c.now.Sub(m.since(c)) >= c.offline+c.forget
}

// wantsAsking reports whether it is time to ask for the member's capabilities.
func (m member) wantsAsking(c clock, retry time.Duration) bool {
	if m.ask.running || m.ask.settled || m.status(c) == registry.Offline {
		return false
	}
	return m.ask.tried.IsZero() || c.now.Sub(m.ask.tried) >= retry
}

// capabilities are the member's own word, else its spawner's.
func (m member) capabilities() (caps map[string]any, from string) {
	if m.own != nil {
		return m.own, string(m.Kind)
	}
	if m.given != nil {
		return m.given, "spawner"
	}
	if caps, told := m.Metadata["capabilities"].(map[string]any); told {
		return caps, "spawner"
	}
	return nil, ""
}

// sameLife reports whether a and b, which have one id, are the same run of the
// program. Where an instance is not named the address tells.
func sameLife(a, b registry.Component) bool {
	if a.InstanceID != "" && b.InstanceID != "" {
		return a.InstanceID == b.InstanceID
	}
	return sameAddress(a, b)
}

// sameAddress takes localhost, 127.0.0.1 and ::1 for one host, as those do who
// register one worker in two places.
func sameAddress(a, b registry.Component) bool {
	sameHost := strings.EqualFold(a.Hostname, b.Hostname) || registry.Loopback(a.Hostname) && registry.Loopback(b.Hostname)
	return sameHost && a.Port == b.Port
}

// stalled reports whether we were ourselves stopped or starved between two looks
// at the table: then heartbeats may be lost, and silence says nothing.
func stalled(last, now time.Time, offline time.Duration) bool {
	return !last.IsZero() && now.Sub(last) > offline/2
}

func latest(times ...time.Time) (last time.Time) {
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
