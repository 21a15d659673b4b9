package gui_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// A model is shown by the name that people know, and asked for by the one that works.
func TestModelNames(t *testing.T) {
	alias := func(v any) func(*registry.Entry) {
		return func(e *registry.Entry) { e.Metadata = map[string]any{"alias": v} }
	}
	here := launch.Launch{ID: "w", InstanceID: "i", Model: "/models/good.gguf", Status: launch.IsReady}
	for _, c := range []struct {
		what          string
		entry         registry.Entry
		launched      []launch.Launch
		model, serves any
	}{
		{"one name", aWorker("w", "i", "m"), nil, "m", nil},
		{"no name", aWorker("w", "i", ""), nil, nil, nil},
		{"served under another", with(aWorker("w", "i", "rbee-8733"), alias("good")), nil, "good", "rbee-8733"},
		{"an alias that is none", with(aWorker("w", "i", "m"), alias(7)), nil, "m", nil},
		{"a file here", aWorker("w", "i", "good"), []launch.Launch{here}, "/models/good.gguf", "good"},
		{"a file here, served under another", with(aWorker("w", "i", "rbee-8733"), alias("good")), []launch.Launch{here}, "/models/good.gguf", "rbee-8733"},
		{"a launch that knows no model", aWorker("w", "i", "m"), []launch.Launch{{ID: "w", InstanceID: "i"}}, "m", nil},
		{"a file here that is not registered yet", aWorker("other", "i", "m"), []launch.Launch{here}, "/models/good.gguf", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			cl := gui.NewCluster("localhost", time.Minute)
			cl.Look(c.launched...)
			cl.Learn(view(1, c.entry))
			if w := cl.Shown()["worker/w"]; w["model"] != c.model || w["serves"] != c.serves {
				t.Errorf("it is shown as %v", w)
			}
		})
	}
}

// How old somebody is does not depend on when a registry began to know of it.
func TestAge(t *testing.T) {
	const id = "01K00000000000000000000000"
	born := ulid.Time(ulid.MustParseStrict(id).Time()).UTC()
	later := func(d time.Duration) func(*registry.Entry) {
		return func(e *registry.Entry) { e.RegisteredAt = born.Add(d) }
	}
	of := func(e registry.Entry) any {
		cl := gui.NewCluster("localhost", time.Minute)
		cl.Learn(view(1, e))
		return cl.Shown()["worker/w"]["started_at"]
	}
	if got := of(with(aWorker("w", id, "m"), later(time.Hour))); got != born.Format(time.RFC3339Nano) {
		t.Errorf("it has begun at %v, not %v", got, born)
	}
	if got := of(with(aWorker("w", id, "m"), later(-time.Hour))); got != nil {
		t.Errorf("with a clock that is ahead it has begun at %v", got)
	}
	for _, id := range []string{"i", "00000000000000000000000000"} {
		if got := of(with(aWorker("w", id, "m"), later(time.Hour))); got != nil {
			t.Errorf("%s has begun at %v", id, got)
		}
	}
}

// One that is ready here is online, whether a registry says so or not, and a stop is told
// as what it is.
func TestOneWordForReady(t *testing.T) {
	c := gui.NewCluster("localhost", time.Minute)
	c.Look()
	ready := launch.Launch{ID: "w", InstanceID: "i", Status: launch.IsReady}
	c.Look(ready)
	if w := c.Shown()["worker/w"]; w["status"] != "online" || w["restarts"] != 0.0 {
		t.Errorf("it is shown as %v", w)
	}
	c.Learn(view(1, aWorker("w", "i", "m")))
	c.Learn(view(2))
	ready.Status = launch.IsStopping
	c.Look(ready)
	c.Look()
	if got := strings.Join(c.Told(), "; "); got != "started on this machine; updated stopping, was online; left gone" {
		t.Errorf("it is told as %q", got)
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	c := gui.NewCluster("localhost", time.Minute)
	c.Learn(view(1, with(aWorker("w", "i", "m"), func(e *registry.Entry) { e.Status = registry.Offline })))
	c.Learn(view(2))
	if got := strings.Join(c.Told(), "; "); got != "expired removed after a long silence" {
		t.Errorf("it is told as %q", got)
	}
}
