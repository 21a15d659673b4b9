package gui_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

func aWorker(id, instance, model string) registry.Entry {
	return registry.Entry{
		Component: registry.Component{
			Kind: registry.Worker, ID: id, InstanceID: instance, Hostname: "box2", Port: 8080, WorkerType: "llm", Model: model,
		},
		Status: registry.Online,
	}
}

func with(e registry.Entry, change func(*registry.Entry)) registry.Entry {
	change(&e)
	return e
}

func offline(e *registry.Entry) { e.Status = registry.Offline }

// view is what a registry that is there says.
func view(revision uint64, entries ...registry.Entry) registry.View {
	s := registry.Snapshot{Epoch: "e1", Revision: revision}
	for _, e := range entries {
		switch e.Kind {
		case registry.Hive:
			s.Hives = append(s.Hives, e)
		case registry.Queen:
			s.Queen = &e
		default:
			s.Workers = append(s.Workers, e)
		}
	}
	return registry.View{Snapshot: s, Connected: true}
}

// What happens between one view and the next.
func TestHappenings(t *testing.T) {
	w := aWorker("w", "i1", "m")
	for _, c := range []struct {
		what        string
		first, then []registry.Entry
		want        string
	}{
		{"nothing", []registry.Entry{w}, []registry.Entry{w}, ""},
		{"it comes", nil, []registry.Entry{w}, "registered worker/w"},
		{"it goes", []registry.Entry{w}, nil, "left worker/w"},
		{"it falls silent", []registry.Entry{w}, []registry.Entry{with(w, offline)}, "lost worker/w"},
		{"it is heard again", []registry.Entry{with(w, offline)}, []registry.Entry{w}, "back worker/w"},
		{"it is forgotten", []registry.Entry{with(w, offline)}, nil, "expired worker/w"},
		{"another life", []registry.Entry{w}, []registry.Entry{aWorker("w", "i2", "m")}, "restarted worker/w"},
		{"other words", []registry.Entry{w}, []registry.Entry{aWorker("w", "i1", "n")}, ""},
		{
			"two at once",
			[]registry.Entry{w},
			[]registry.Entry{aWorker("v", "i", "m")},
			"registered worker/v, left worker/w",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			cl := gui.NewCluster("localhost", time.Minute)
			cl.Learn(view(1, c.first...))
			cl.Learn(view(2, c.then...))
			if got := strings.Join(cl.News(), ", "); got != c.want {
				t.Errorf("it is told as %q, wanted is %q", got, c.want)
			}
		})
	}
}

// What is there when we come is no news, and nor is the registry's being there; that it
// was missing until now is.
func TestFirstViewIsNoNews(t *testing.T) {
	there := gui.NewCluster("localhost", time.Minute)
	there.Learn(registry.View{})
	there.Look(launch.Launch{ID: "l", InstanceID: "i", Status: launch.IsReady})
	there.Learn(view(1, aWorker("w", "i", "m")))
	if got := there.News(); len(got) > 0 {
		t.Errorf("it is told as %q", got)
	}
	missing := gui.NewCluster("localhost", time.Minute)
	missing.Learn(registry.View{Cause: errors.New("it does not answer")})
	missing.Learn(view(1, aWorker("w", "i", "m")))
	missing.Learn(registry.View{Snapshot: view(1, aWorker("w", "i", "m")).Snapshot, Cause: errors.New("it went")})
	missing.Learn(view(1, aWorker("w", "i", "m")))
	got := missing.News()
	slices.Sort(got[:min(2, len(got))])
	if want := "back registry/registry, registered worker/w, lost registry/registry, back registry/registry"; strings.Join(got, ", ") != want {
		t.Errorf("it is told as %q, wanted is %q", got, want)
	}
}

// No more is kept than a page that opens later is told.
func TestHappeningsAreBounded(t *testing.T) {
	c := gui.NewCluster("localhost", time.Minute)
	for i := range 1200 {
		c.Learn(view(uint64(i), aWorker("w", fmt.Sprint(i), "m")))
	}
	if n := len(c.News()); n != 500 {
		t.Errorf("%d are kept", n)
	}
}

// A registry that begins anew knows nobody yet. Who was online has a while to tell it.
func TestRegistryBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gui.NewCluster("localhost", time.Minute)
		c.Look()
		a, b := aWorker("a", "i", "m"), aWorker("b", "i", "m")
		c.Learn(view(7, a, b, with(aWorker("off", "i", "m"), offline)))
		anew := view(1, a)
		anew.Snapshot.Epoch = "e2"
		c.Learn(anew)
		shown := c.Shown()
		if shown["worker/a"] == nil || shown["worker/b"] == nil || shown["worker/off"] != nil {
			t.Errorf("shown are %v", shown)
		}
		gone := view(2)
		gone.Snapshot.Epoch = "e2"
		c.Learn(gone) // a has come, and left
		if shown := c.Shown(); shown["worker/a"] != nil || shown["worker/b"] == nil {
			t.Errorf("after one has left, shown are %v", shown)
		}
		time.Sleep(time.Minute + time.Second)
		c.Look()
		if shown := c.Shown(); shown["worker/b"] != nil {
			t.Errorf("after a minute, shown are %v", shown)
		}
		if got := strings.Join(c.News(), ", "); got != "expired worker/off, left worker/a, left worker/b" {
			t.Errorf("it is told as %q", got)
		}
	})
}

// Which of the registry's workers is the launch here.
func TestLaunchesHere(t *testing.T) {
	const older, newer = "01J00000000000000000000000", "01K00000000000000000000000"
	ready := launch.Launch{ID: "w", InstanceID: older, Type: "llm", Port: 8080, Status: launch.IsReady, PID: 42}
	local := func(e *registry.Entry) { e.Hostname = "localhost" }
	for _, c := range []struct {
		what  string
		entry registry.Entry
		here  bool // they are one
	}{
		{"the same life", aWorker("w", older, "m"), true},
		{"its next life, which the registry knows first", with(aWorker("w", newer, "m"), local), true},
		{"its last life", with(aWorker("w", "01H00000000000000000000000", "m"), local), true},
		{"advertised under our host", with(aWorker("w", newer, "m"), func(e *registry.Entry) { e.Hostname = "box1" }), true},
		{"another user's newer one on another port", with(aWorker("w", newer, "m"), func(e *registry.Entry) { e.Hostname, e.Port = "localhost", 9000 }), false},
		{"another machine's", aWorker("w", newer, "m"), false},
	} {
		t.Run(c.what, func(t *testing.T) {
			cl := gui.NewCluster("box1", time.Minute)
			cl.Look(ready)
			cl.Learn(view(1, c.entry))
			shown := cl.Shown()
			if one := shown["worker/w"]; c.here != (one["acts"] == "/api/here") || c.here != (one["pid"] == 42.0) {
				t.Errorf("it is shown as %v", one)
			}
			own := shown["worker/w@here"]
			if (own == nil) != c.here || own != nil && (own["acts"] != "/api/here" || own["id"] != "w") {
				t.Errorf("the one here is shown as %v", own)
			}
		})
	}
}

// Who can be commanded, and why not.
func TestActs(t *testing.T) {
	hive := registry.Entry{Component: registry.Component{Kind: registry.Hive, ID: "box/2", Hostname: "box2", Port: 7835}, Status: registry.Online}
	of := func(spawner string) func(*registry.Entry) {
		return func(e *registry.Entry) { e.Metadata = map[string]any{"spawned_by": spawner} }
	}
	w := aWorker("w", "i", "m")
	for _, c := range []struct {
		what          string
		entries       []registry.Entry
		acts, whyPart string
	}{
		{"its hive is there", []registry.Entry{hive, with(w, of("hive-box/2"))}, "/api/hives/box%2F2", ""},
		{"its hive is offline", []registry.Entry{with(hive, offline), with(w, of("hive-box/2"))}, "", "box/2, is offline"},
		{"its hive is gone", []registry.Entry{with(w, of("hive-box/2"))}, "", "box/2, is not there"},
		{"launched by hand", []registry.Entry{hive, with(w, of("rbee-launch"))}, "", "launched by rbee-launch on box2"},
		{"launched by nobody known", []registry.Entry{w}, "", "launched by somebody on box2"},
	} {
		t.Run(c.what, func(t *testing.T) {
			cl := gui.NewCluster("localhost", time.Minute)
			cl.Learn(view(1, c.entries...))
			shown := cl.Shown()["worker/w"]
			acts, _ := shown["acts"].(string)
			why, _ := shown["why_not"].(string)
			if acts != c.acts || !strings.Contains(why, c.whyPart) || (why == "") != (acts != "") {
				t.Errorf("acts is %q, why_not %q", acts, why)
			}
		})
	}
}

// A launch is shown before the registry knows of it; our own daemons are not, since they
// register themselves.
func TestStartingIsShown(t *testing.T) {
	c := gui.NewCluster("localhost", time.Minute)
	c.Look(launch.Launch{ID: "rbee-registry", Type: "rbee-registry", Status: launch.IsReady})
	c.Look(
		launch.Launch{ID: "rbee-registry", Type: "rbee-registry", Status: launch.IsReady},
		launch.Launch{ID: "w", InstanceID: "i", Status: launch.Starting, SpawnedBy: "hive-box1"},
	)
	shown := c.Shown()
	if w := shown["worker/w"]; w["status"] != "starting" || w["acts"] != "/api/here" || w["hive"] != "box1" || w["local"] != true {
		t.Errorf("it is shown as %v", w)
	}
	if shown["worker/rbee-registry"] != nil {
		t.Error("a daemon is shown as a worker")
	}
	if got := strings.Join(c.News(), ", "); got != "started worker/w" {
		t.Errorf("it is told as %q", got)
	}
}

// A worker that is started here is registered when the registry says so, and not before.
func TestStartedIsNotRegistered(t *testing.T) {
	c := gui.NewCluster("localhost", time.Minute)
	c.Look()
	c.Learn(view(1))
	l := launch.Launch{ID: "w", InstanceID: "i", Port: 8080, Status: launch.Starting}
	e := with(aWorker("w", "i", "m"), func(e *registry.Entry) { e.Hostname = "localhost" })
	c.Look(l)
	l.Status = launch.IsReady
	c.Look(l)
	c.Learn(view(2, e))
	l.Model = "n" // which is no news
	c.Look(l)
	c.Learn(view(3))
	c.Learn(view(4, e))
	c.Look()
	c.Learn(view(5))
	const want = "started worker/w, updated worker/w, registered worker/w, registered worker/w, left worker/w"
	if got := strings.Join(c.News(), ", "); got != want {
		t.Errorf("it is told as %q, wanted is %q", got, want)
	}
}

// Of 500 workers one changes: what that costs.
func BenchmarkOneOf500Changes(b *testing.B) {
	c := gui.NewCluster("localhost", time.Minute)
	var all []registry.Entry
	for i := range 500 {
		all = append(all, aWorker(fmt.Sprintf("w%03d", i), "i", "m"))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		all[i%500].Model = fmt.Sprint(i)
		c.Learn(view(uint64(i), all...))
	}
}
