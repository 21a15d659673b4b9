package gui_test

import (
	"testing"
	"time"

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
