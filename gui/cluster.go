package gui

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// keptHappenings are those that a page is told that opens later.
const keptHappenings = 500

// cluster is all that pages show, put together from the registry's views and the launches
// here. Whoever follows it compares what it has told with what there is, so that nobody
// has a queue, and one that is slow misses what is over already.
type cluster struct {
	registryURL string
	host        string        // that launches here advertise
	hold        time.Duration // see held

	mu       sync.Mutex
	view     registry.View
	launches []launch.Launch
	// held are those whom a registry that has just begun anew has not heard of yet. They
	// have until then to tell it of themselves, and are shown as they were.
	held      map[string]registry.Entry
	heldUntil time.Time
	// What is there when we come is no news: not what the first look has, nor the first
	// view, unless the registry was missing until then.
	looked, viewed, missed, met bool

	shown      map[string]*component // by key; replaced as a whole, its components never change
	standing   standing
	happenings []happening // the newest last
	happened   int         // since the start
	grown      chan struct{}
}

// standing is how the registry is.
type standing struct {
	URL   string    `json:"url"`
	State string    `json:"state"` // none, away, connected
	Cause string    `json:"cause,omitempty"`
	AsOf  time.Time `json:"as_of,omitzero"` // of what is shown, where it is away
}

// happening is one thing that happened to a component.
type happening struct {
	Time time.Time `json:"time"`
	Key  string    `json:"key"`
	Kind string    `json:"kind"`
	ID   string    `json:"id"`
	What string    `json:"what"` // started, registered, lost, back, restarted, updated, left, expired
	Text string    `json:"text"`
	// Status is the one that it has now; "" where it is gone.
	Status string `json:"status,omitempty"`
}

func newCluster(registryURL, host string, hold time.Duration) *cluster {
	c := &cluster{registryURL: registryURL, host: host, hold: hold, grown: make(chan struct{})}
	c.standing = c.stand()
	c.shown = c.compose()
	return c
}

// learn takes the registry's view over.
func (c *cluster) learn(v registry.View) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, now := c.view.Snapshot.Epoch, v.Snapshot.Epoch; was != "" && was != now {
		c.held, c.heldUntil = map[string]registry.Entry{}, time.Now().Add(c.hold)
		for _, e := range c.entries() {
			if e.Status == registry.Online {
				c.held[keyOf(e.Kind, e.ID)] = e
			}
		}
	}
	c.view = v
	for _, e := range everybody(v.Snapshot) {
		delete(c.held, keyOf(e.Kind, e.ID))
	}
	c.missed = c.missed || v.Cause != nil
	first := !c.viewed && v.Snapshot.Epoch != ""
	c.viewed = c.viewed || first
	c.renew(first && !c.missed)
	c.met = c.met || v.Connected
}

// look takes this machine's launches over.
func (c *cluster) look(list []launch.Launch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) > 0 && time.Now().After(c.heldUntil) {
		c.held = nil
	} else if c.looked && slices.Equal(c.launches, list) {
		return
	}
	first := !c.looked
	c.looked, c.launches = true, list
	c.renew(first)
}

// renew makes what is shown of what is known. Quietly, nothing of that is news.
func (c *cluster) renew(quietly bool) {
	next := c.compose()
	changed := false
	note := func(was, now *component) {
		changed = true
		if !quietly {
			c.note(was, now)
		}
	}
	for key, now := range next {
		was := c.shown[key]
		if was != nil && was.registered == now.registered && bytes.Equal(was.body, now.body) {
			next[key] = was // so that who compares sees at once that it is the same
			continue
		}
		note(was, now)
	}
	for key, was := range c.shown {
		if next[key] == nil {
			note(was, nil)
		}
	}
	standing := c.stand()
	if changed || standing != c.standing {
		c.shown, c.standing = next, standing
		close(c.grown)
		c.grown = make(chan struct{})
	}
}

// entries are those of the registry's, and those who are held.
func (c *cluster) entries() []registry.Entry {
	return append(everybody(c.view.Snapshot), slices.Collect(maps.Values(c.held))...)
}

func everybody(s registry.Snapshot) []registry.Entry {
	all := slices.Concat(s.Hives, s.Workers)
	for _, e := range []*registry.Entry{s.Queen, s.GUI} {
		if e != nil {
			all = append(all, *e)
		}
	}
	return all
}

func (c *cluster) stand() standing {
	s := standing{URL: c.registryURL}
	switch {
	case c.registryURL == "":
		s.State = "none"
	case c.view.Connected:
		s.State = "connected"
	default:
		s.State, s.AsOf = "away", c.view.AsOf
		if c.view.Cause != nil {
			s.Cause = c.view.Cause.Error()
		}
	}
	return s
}

// compose is everybody there is.
func (c *cluster) compose() map[string]*component {
	all := map[string]*component{}
	put := func(x component) {
		x.body, _ = json.Marshal(x) // nothing in it can't be
		all[x.Key] = &x
	}
	launched := map[string]launch.Launch{}
	for _, l := range c.launches {
		launched[l.ID] = l
	}
	if c.registryURL != "" {
		put(c.registry())
	}
	entries := c.entries()
	online := map[string]bool{}
	for _, e := range entries {
		if e.Kind == registry.Hive {
			online[e.ID] = e.Status == registry.Online
		}
	}
	for _, e := range entries {
		l, here := launched[e.ID]
		switch x := ofEntry(e); {
		case e.Kind != registry.Worker:
			put(unreachable(x, "it is stopped on its own machine"))
		case here && c.isIt(e, l):
			delete(launched, e.ID)
			put(x.isLaunch(l))
		default:
			put(actsOf(x, online))
		}
	}
	for _, l := range launched {
		if isDaemon(l) {
			continue
		}
		x := ofLaunch(l)
		if all[x.Key] != nil { // another machine has one of that name
			x.Key += "@here"
		}
		put(x)
	}
	return all
}

// isIt reports whether what the registry has is that launch here, or its life before or
// after: registry and launch are not looked at in the same instant.
func (c *cluster) isIt(e registry.Entry, l launch.Launch) bool {
	if e.InstanceID == l.InstanceID {
		return true
	}
	here := registry.Loopback(e.Hostname) || e.Hostname == c.host
	return here && (e.Port == l.Port || !registry.Older(l.InstanceID, e.InstanceID))
}

// isDaemon reports whether a launch is one of rbee's own daemons, which are shown as what
// they register as.
func isDaemon(l launch.Launch) bool {
	return strings.HasPrefix(l.Type, "rbee-") || strings.HasPrefix(l.Type, "queen-")
}

func unreachable(x component, why string) component {
	x.WhyNot = why
	return x
}

// actsOf is who can command a worker that is no launch of ours.
func actsOf(x component, hives map[string]bool) component {
	switch online, known := hives[x.Hive]; {
	case x.Hive == "":
		spawner, _ := x.Metadata["spawned_by"].(string)
		x.WhyNot = fmt.Sprintf("it was launched by %s on %s: it is stopped there", cmp.Or(spawner, "somebody"), x.Hostname)
	case !known:
		x.WhyNot = fmt.Sprintf("its hive, %s, is not there", x.Hive)
	case !online:
		x.WhyNot = fmt.Sprintf("its hive, %s, is offline", x.Hive)
	default:
		x.Acts = hiveBase + url.PathEscape(x.Hive)
	}
	return x
}

const registryKind = "registry"

// registry is the registry itself, which is in no list.
func (c *cluster) registry() component {
	x := component{
		Key: registryKind + "/" + registryKind, Kind: registryKind, ID: registryKind, URL: c.registryURL, Status: string(registry.Offline),
		WhyNot: "the registry is stopped on its own machine",
	}
	if u, err := url.Parse(c.registryURL); err == nil {
		x.Hostname = u.Hostname()
		_, _ = fmt.Sscan(u.Port(), &x.Port) // without one there is none to show
	}
	if c.view.Connected {
		x.Status = string(registry.Online)
	}
	return x
}

// note remembers what has happened between was and now; either may be nil.
func (c *cluster) note(was, now *component) {
	x := now
	if now == nil {
		x = was
	}
	h := happening{Time: time.Now().UTC(), Key: x.Key, Kind: x.Kind, ID: x.ID}
	switch {
	case x.Kind == registryKind && !c.met:
		h.What, h.Text = "back", "answers" // it did not until now
	case was == nil && now.registered, was != nil && now != nil && !was.registered && now.registered:
		h.What, h.Text = "registered", now.Status
	case was == nil:
		h.What, h.Text = "started", "on this machine" // which the registry may be told later, if there is one
	case now == nil && was.Status == string(registry.Offline):
		h.What, h.Text = "expired", "removed after a long silence"
	case now == nil:
		h.What, h.Text = "left", "gone"
	case was.InstanceID != now.InstanceID && was.InstanceID != "":
		h.What, h.Text = "restarted", now.Status
	case was.Status != now.Status && now.Status == string(registry.Offline):
		h.What, h.Text = "lost", "no heartbeat"
		if x.Kind == registryKind {
			h.Text = "does not answer"
		}
	case was.Status != now.Status && was.Status == string(registry.Offline):
		h.What, h.Text = "back", now.Status
	case was.Status != now.Status:
		h.What, h.Text = "updated", now.Status+", was "+was.Status
	default:
		return
	}
	if now != nil {
		h.Status = now.Status
	}
	c.happened++
	c.happenings = append(c.happenings, h)
	if len(c.happenings) > keptHappenings {
		c.happenings = slices.Clone(c.happenings[len(c.happenings)-keptHappenings:])
	}
}

// picture is what there is at a moment.
type picture struct {
	shown      map[string]*component
	standing   standing
	happenings []happening // the newest first; those that were not seen
	happened   int
	grown      <-chan struct{}
}

// now is the picture for one who has seen so many happenings.
func (c *cluster) now(seen int) picture {
	c.mu.Lock()
	defer c.mu.Unlock()
	unseen := c.happenings[len(c.happenings)-min(c.happened-seen, len(c.happenings)):]
	unseen = slices.Clone(unseen)
	slices.Reverse(unseen)
	return picture{c.shown, c.standing, unseen, c.happened, c.grown}
}

// find is one component; nil where there is none.
func (c *cluster) find(kind registry.Kind, id string) *component {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown[keyOf(kind, id)]
}

// sorted are the bodies of components, by key.
func sorted(shown map[string]*component) []json.RawMessage {
	bodies := make([]json.RawMessage, 0, len(shown))
	for _, key := range slices.Sorted(maps.Keys(shown)) {
		bodies = append(bodies, shown[key].body)
	}
	return bodies
}

// queen is the queen; nil where none is known.
func (c *cluster) queen() *component {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries() {
		if e.Kind == registry.Queen {
			return c.shown[keyOf(registry.Queen, e.ID)]
		}
	}
	return nil
}
