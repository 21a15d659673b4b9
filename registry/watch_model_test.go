package registry_test

import (
	"net/http/httptest"
	"testing"

	"pgregory.net/rapid"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// Whatever has happened, and however often the stream was cut meanwhile or the registry
// started anew: what is seen is what the registry lists.
func TestTheViewIsWhatTheRegistryLists(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := &door{}
		restart := func() { d.put(server.New(server.Config{}).Handler()) }
		restart()
		cuttable, whole := httptest.NewServer(d), httptest.NewServer(d)
		defer whole.Close()
		defer cuttable.Close()
		c := dial(t, registry.Config{URL: whole.URL})
		defer c.Close()
		v := watch(t, dial(t, quick(cuttable.URL)))
		defer v.end()
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			comp := registry.Component{
				Kind:       rapid.SampledFrom([]registry.Kind{registry.Worker, registry.Worker, registry.Hive, registry.Queen, registry.GUI}).Draw(rt, "kind"),
				ID:         rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "id"),
				InstanceID: rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "instance"),
				Hostname:   "h", Port: rapid.IntRange(1, 3).Draw(rt, "port"),
			}
			// An error is a refusal: of a second queen, or of one who is not there.
			switch rapid.SampledFrom([]string{"register", "register", "register", "unregister", "unregister", "cut", "restart", "look"}).Draw(rt, "step") {
			case "register":
				_, _ = c.Register(t.Context(), comp)
			case "unregister":
				_ = c.Unregister(t.Context(), comp)
			case "cut":
				cuttable.CloseClientConnections()
			case "restart":
				restart()
				cuttable.CloseClientConnections()
			case "look":
				v.everything(c)
			}
			if t.Failed() {
				rt.FailNow()
			}
		}
		v.everything(c)
	})
}
