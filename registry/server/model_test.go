package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// model is what a registry should know, in the plainest way there is: it works
// everything out from the time of each worker's last sign of life.
type model map[string]life

type life struct {
	instance string
	port     int
	seen     time.Time
}

func (m model) forget() {
	for id, l := range m {
		if time.Since(l.seen) >= 90*time.Second {
			delete(m, id)
		}
	}
}

func (m model) ids(status string) string {
	m.forget()
	ids := []string{}
	for id, l := range m {
		if online := time.Since(l.seen) <= 30*time.Second; online == (status == "online") {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// answer is the status that a message from that instance should get.
func (m model) answer(id, instance string) int {
	m.forget()
	l, there := m[id]
	switch {
	case !there:
		return 404
	case l.instance != instance:
		return 409
	default:
		return 200
	}
}

// step is one thing that happens to a registry.
type step struct {
	what         string // register, heartbeat, unregister, or batch: heartbeats of all
	id, instance string
	port         int
	wait         time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("%v later %s %s/%s:%d", s.wait, s.what, s.id, s.instance, s.port)
}

func (s step) message() string {
	if s.what == "batch" {
		var parts []string
		for _, id := range workers {
			parts = append(parts, fmt.Sprintf(`{"component_type":"worker","component_id":%q,"instance_id":%q}`, id, s.instance))
		}
		return `{"components":[` + strings.Join(parts, ",") + `]}`
	}
	return fmt.Sprintf(`{"worker_id":%q,"instance_id":%q,"hostname":"h","port":%d}`, s.id, s.instance, s.port)
}

// on does the step on the model and says how the registry should answer.
func (s step) on(m model) string {
	if s.what == "batch" {
		bad := map[int]string{}
		for _, id := range workers {
			beat := step{what: "heartbeat", id: id, instance: s.instance}
			if status := m.do(beat); status != 200 {
				bad[status] += id
			}
		}
		return fmt.Sprintf("unknown %s superseded %s", bad[404], bad[409])
	}
	return fmt.Sprint(m.do(s))
}

func (m model) do(s step) (status int) {
	status = m.answer(s.id, s.instance)
	switch {
	case s.what == "register":
		m[s.id] = life{s.instance, s.port, time.Now()}
		return 200
	case status != 200:
	case s.what == "heartbeat":
		m[s.id] = life{s.instance, m[s.id].port, time.Now()}
	case s.what == "unregister":
		delete(m, s.id)
	}
	return status
}

// tell sends the step to the registry.
func (s step) tell(a api) string {
	switch s.what {
	case "unregister":
		return fmt.Sprint(a.unregister(s.message()).status)
	case "batch":
		var answer struct{ Unknown, Superseded []registry.Form }
		r := a.post("heartbeat", s.message())
		if err := json.Unmarshal(r.body, &answer); err != nil || r.status != 200 {
			return fmt.Sprint(r.status, err)
		}
		ids := func(forms []registry.Form) (all string) {
			for _, f := range forms {
				all += f.ID
			}
			return all
		}
		return fmt.Sprintf("unknown %s superseded %s", ids(answer.Unknown), ids(answer.Superseded))
	}
	return fmt.Sprint(a.post(s.what, s.message()).status)
}

var workers = []string{"a", "b", "c"}

func steps() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what:     rapid.SampledFrom([]string{"register", "heartbeat", "unregister", "batch"}).Draw(t, "what"),
			id:       rapid.SampledFrom(workers).Draw(t, "id"),
			instance: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "instance"),
			port:     rapid.IntRange(1, 2).Draw(t, "port"),
			// Not over half the window: the registry would take it for a stall of its own.
			wait: time.Duration(rapid.IntRange(0, 15).Draw(t, "seconds")) * time.Second,
		}
	}), 1, 60)
}

// Whatever happens in whatever order, the registry and the model agree on every
// answer and every list, and the revision moves exactly when the lists do.
func TestTheTableAgreesWithItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var disagreement error
		steps := steps().Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) { disagreement = follow(t, steps) })
		if disagreement != nil {
			rt.Fatal(disagreement)
		}
	})
}

func follow(t *testing.T, steps []step) error {
	c := comparison{a: api{t, server.New(server.Config{}).Handler()}, m: model{}, view: "||", copy: map[string]registry.Entry{}}
	for _, s := range steps {
		time.Sleep(s.wait)
		if err := c.agree(); err != nil {
			return fmt.Errorf("before %v: %w", s, err)
		}
		if got, want := s.tell(c.a), s.on(c.m); got != want {
			return fmt.Errorf("%v was answered %s, want %s", s, got, want)
		}
		if err := c.agree(); err != nil {
			return fmt.Errorf("after %v: %w", s, err)
		}
	}
	return nil
}

// comparison is a registry, its model, and what was seen of them last.
type comparison struct {
	a        api
	m        model
	view     string
	revision float64
	copy     map[string]registry.Entry // what one who only follows the changes knows
}

// agree compares what is seen now, and whether the revision tells that it is
// something else than before.
func (c *comparison) agree() error {
	next := ""
	for _, status := range []string{"online", "offline"} {
		got, want := c.a.ids("workers?status="+status), c.m.ids(status)
		if got != want {
			return fmt.Errorf("%q are %s, want %q", got, status, want)
		}
		next += want + "|"
	}
	for _, id := range workers {
		if l, there := c.m[id]; there {
			next += fmt.Sprint(id, l.instance, l.port)
		}
	}
	grown := c.a.revision() - c.revision
	if grown < 0 || (grown > 0) != (next != c.view) {
		return fmt.Errorf("the revision grew by %v from %q to %q", grown, c.view, next)
	}
	if err := c.follow(int(grown)); err != nil {
		return err
	}
	c.view, c.revision = next, c.revision+grown
	return nil
}

// follow applies what has changed to the copy, which must become what the list says.
func (c *comparison) follow(grown int) error {
	var polled struct {
		Revision float64
		Changes  []registry.Change
	}
	r := c.a.get(fmt.Sprintf("watch?since=%v&wait=0s", c.revision))
	if err := json.Unmarshal(r.body, &polled); err != nil {
		return err
	}
	if len(polled.Changes) != grown || polled.Revision != c.revision+float64(grown) {
		return fmt.Errorf("since %v there were %d changes up to %v, not %d", c.revision, len(polled.Changes), polled.Revision, grown)
	}
	for _, change := range polled.Changes {
		if change.Gone() {
			delete(c.copy, change.Component.ID)
		} else {
			c.copy[change.Component.ID] = change.Component
		}
	}
	var list []registry.Entry
	if err := json.Unmarshal(c.a.get("workers").body, &list); err != nil {
		return err
	}
	want := map[string]registry.Entry{}
	for _, e := range list {
		want[e.ID] = e
	}
	if got, want := seen(c.copy), seen(want); got != want {
		return fmt.Errorf("who follows the changes knows of %s, the list of %s", got, want)
	}
	return nil
}

// seen is what a change tells of entries, and not when they were last seen.
func seen(entries map[string]registry.Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.ID, e.InstanceID, e.Port, e.Status, e.RegisteredAt.UnixNano()))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
