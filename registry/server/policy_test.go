package server

import (
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

var usual = limits{online: 30 * time.Second, remove: 90 * time.Second}

func TestJudgeAtItsBoundaries(t *testing.T) {
	equal := limits{online: time.Second, remove: time.Second}
	for _, tt := range []struct {
		limits  limits
		silence time.Duration
		status  registry.Status
		gone    bool
	}{
		{usual, 0, registry.Online, false},
		{usual, 30 * time.Second, registry.Online, false},
		{usual, 30*time.Second + 1, registry.Offline, false},
		{usual, 90*time.Second - 1, registry.Offline, false},
		{usual, 90 * time.Second, "", true},
		{usual, 24 * time.Hour, "", true},
		{equal, time.Second, registry.Online, false},
		{equal, time.Second + 1, "", true},
	} {
		status, gone := tt.limits.judge(tt.silence)
		if status != tt.status || gone != tt.gone {
			t.Errorf("judge(%v) = %q, %v; want %q, %v", tt.silence, status, gone, tt.status, tt.gone)
		}
	}
}

// Were next late, an entry would be seen in a status that it no longer has.
func TestNextIsWhenTheJudgementChanges(t *testing.T) {
	const from = moment(time.Hour)
	for _, status := range []registry.Status{registry.Online, registry.Offline} {
		next := usual.next(status, from)
		if now, gone := usual.judge(next - from); now == status && !gone {
			t.Errorf("at its next moment, %v, the component is still %s", next-from, status)
		}
		if before, gone := usual.judge(next - from - 1); before != status || gone {
			t.Errorf("just before its next moment, %v, the component is %s, gone %v", next-from, before, gone)
		}
	}
}

func TestStalled(t *testing.T) {
	const now = moment(48 * time.Hour)
	for _, tt := range []struct {
		last moment
		want bool
	}{
		{now, false},
		{now + time.Second, false}, // whose clock was read before the lock was had
		{now - 15*time.Second, false},
		{now - 15*time.Second - 1, true},
		{now - 24*time.Hour, true},
	} {
		if got := usual.stalled(tt.last, now); got != tt.want {
			t.Errorf("stalled after %v = %v", now-tt.last, got)
		}
	}
}

func TestReachableHost(t *testing.T) {
	const here, there, there6 = "127.0.0.1:4000", "192.0.2.7:4000", "[2001:db8::7]:4000"
	for _, tt := range []struct{ hostname, remote, want string }{
		{"localhost", here, "localhost"},
		{"127.0.0.1", "[::1]:4000", "127.0.0.1"},
		{"box2", there, "box2"},
		{"198.51.100.1", there, "198.51.100.1"}, // behind an address translation it knows better
		{"localhost", there, "192.0.2.7"},
		{"LOCALHOST.", there, "192.0.2.7"},
		{"api.localhost", there, "192.0.2.7"},
		{"127.0.0.9", there, "192.0.2.7"},
		{"[::1]", there, "192.0.2.7"},
		{"::1", there6, "2001:db8::7"},
		{"localhost", "[fe80::1%eth0]:4000", "fe80::1"},
		{"localhost", "[::ffff:192.0.2.7]:4000", "192.0.2.7"},
		{"0.0.0.0", there, "192.0.2.7"},
		{"0.0.0.0", here, "127.0.0.1"},
		{"::", here, "127.0.0.1"},
		{"localhost", "@", "localhost"}, // a Unix socket's peer
	} {
		if got := reachableHost(tt.hostname, tt.remote); got != tt.want {
			t.Errorf("reachableHost(%q, %q) = %q, want %q", tt.hostname, tt.remote, got, tt.want)
		}
	}
}

func TestSameQueen(t *testing.T) {
	kept := registry.Entry{Component: registry.Component{ID: "queen", InstanceID: "a", Hostname: "box", Port: 7833}}
	for _, tt := range []struct {
		name string
		c    registry.Component
		want bool
	}{
		{"itself", kept.Component, true},
		{"restarted in place", registry.Component{ID: "queen", InstanceID: "b", Hostname: "box", Port: 7833}, true},
		{"moved", registry.Component{ID: "queen", InstanceID: "a", Hostname: "10.0.0.1", Port: 7833}, true},
		{"another machine's", registry.Component{ID: "queen", InstanceID: "b", Hostname: "box2", Port: 7833}, false},
		{"another port's", registry.Component{ID: "queen", Hostname: "box", Port: 7834}, false},
		{"another id", registry.Component{ID: "queen2", InstanceID: "a", Hostname: "box", Port: 7833}, false},
	} {
		if got := sameQueen(kept, tt.c); got != tt.want {
			t.Errorf("%s: sameQueen = %v", tt.name, got)
		}
	}
}
