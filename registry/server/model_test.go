package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// model is what a registry should know, in the plainest way there is: it works
// everything out from the time of each worker's last sign of life.
type model map[string]life

type life struct {
	instance string
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
	what         string
	id, instance string
	wait         time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("%v later %s %s/%s", s.wait, s.what, s.id, s.instance)
}

func (s step) message() string {
	return fmt.Sprintf(`{"worker_id":%q,"instance_id":%q,"hostname":"h","port":1}`, s.id, s.instance)
}

// on does the step on the model and says how the registry should answer.
func (s step) on(m model) (status int) {
	status = m.answer(s.id, s.instance)
	switch {
	case s.what == "register":
		m[s.id] = life{s.instance, time.Now()}
		return 200
	case status != 200:
	case s.what == "heartbeat":
		m[s.id] = life{s.instance, time.Now()}
	case s.what == "unregister":
		delete(m, s.id)
	}
	return status
}

// tell sends the step to the registry.
func (s step) tell(a api) (status int) {
	if s.what == "unregister" {
		return a.unregister(s.message()).status
	}
	return a.post(s.what, s.message()).status
}

func steps() *rapid.Generator[[]step] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			what:     rapid.SampledFrom([]string{"register", "heartbeat", "unregister"}).Draw(t, "what"),
			id:       rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id"),
			instance: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "instance"),
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
	c := comparison{a: api{t, server.New(server.Config{}).Handler()}, m: model{}, view: "||"}
	for _, s := range steps {
		time.Sleep(s.wait)
		if err := c.agree(); err != nil {
			return fmt.Errorf("before %v: %w", s, err)
		}
		if got, want := s.tell(c.a), s.on(c.m); got != want {
			return fmt.Errorf("%v was answered %d, want %d", s, got, want)
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
	next += c.m["a"].instance + c.m["b"].instance + c.m["c"].instance
	grown := c.a.revision() - c.revision
	if grown < 0 || (grown > 0) != (next != c.view) {
		return fmt.Errorf("the revision grew by %v from %q to %q", grown, c.view, next)
	}
	c.view, c.revision = next, c.revision+grown
	return nil
}
