package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// quick is a configuration for tests: what is repeated is so at once.
func quick(url string) registry.Config {
	return registry.Config{URL: url, HeartbeatInterval: 5 * time.Millisecond, PollInterval: 2 * time.Millisecond}
}

// serveWatched is a server whose streams don't keep it from closing.
func serveWatched(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(func() { ts.CloseClientConnections(); ts.Close() })
	return ts
}

// viewer takes views one by one.
type viewer struct {
	t    *testing.T
	next func() (registry.View, bool)
	end  func() // of the watch
	last registry.View
}

func watch(t *testing.T, c *registry.Client) *viewer {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	next, leave := iter.Pull(c.Watch(ctx))
	end := func() { leave(); stop() }
	t.Cleanup(end)
	return &viewer{t: t, next: next, end: end}
}

// until takes views up to the first that is as wanted.
func (v *viewer) until(what string, wanted func(registry.View) bool) registry.View {
	v.t.Helper()
	for {
		next, more := v.next()
		if !more {
			v.t.Fatalf("never: %s; the last view is %+v", what, v.last)
		}
		if v.last = next; wanted(next) {
			return next
		}
	}
}

func (v *viewer) connected() registry.View {
	v.t.Helper()
	return v.until("connected", func(v registry.View) bool { return v.Connected })
}

func (v *viewer) disconnected(cause error) registry.View {
	v.t.Helper()
	return v.until(fmt.Sprint("disconnected by ", cause), func(v registry.View) bool {
		return !v.Connected && v.Cause != nil && (cause == nil || errors.Is(v.Cause, cause))
	})
}

func (v *viewer) workers(n int) registry.View {
	v.t.Helper()
	return v.until(fmt.Sprint(n, " workers"), func(v registry.View) bool { return v.Connected && len(v.Snapshot.Workers) == n })
}

// same compares what two snapshots say. When somebody was last seen is no matter of revisions.
func same(a, b registry.Snapshot) bool {
	return shown(a) == shown(b)
}

func shown(s registry.Snapshot) string {
	unseen := func(list []registry.Entry) []registry.Entry {
		list = append([]registry.Entry{}, list...)
		for i := range list {
			list[i].LastSeen = time.Time{}
		}
		return list
	}
	one := func(e *registry.Entry) *registry.Entry {
		if e != nil {
			return &unseen([]registry.Entry{*e})[0]
		}
		return nil
	}
	s.Hives, s.Workers, s.Queen, s.GUI = unseen(s.Hives), unseen(s.Workers), one(s.Queen), one(s.GUI)
	text, err := json.Marshal(s)
	return fmt.Sprint(string(text), err)
}

// everything takes views up to one of all that has changed, and holds it to the registry's own list.
func (v *viewer) everything(c *registry.Client) {
	v.t.Helper()
	all, err := c.Components(v.t.Context())
	if err != nil || all.Stale {
		v.t.Fatalf("%+v, %v", all, err)
	}
	upToDate := func(v registry.View) bool {
		return v.Connected && v.Snapshot.Epoch == all.Value.Epoch && v.Snapshot.Revision >= all.Value.Revision
	}
	seen := v.last
	if !upToDate(seen) {
		seen = v.until("all changes", upToDate)
	}
	if !same(seen.Snapshot, all.Value) {
		v.t.Errorf("the view is   %s\nthe registry's %s", shown(seen.Snapshot), shown(all.Value))
	}
}

func register(t *testing.T, c *registry.Client, all ...registry.Component) {
	t.Helper()
	for _, comp := range all {
		if _, err := c.Register(t.Context(), comp); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWatchSeesWhatChanges(t *testing.T) {
	ts := serveWatched(t, server.New(server.Config{}).Handler())
	c := dial(t, quick(ts.URL))
	register(t, c, worker("b"))
	v := watch(t, c)
	first := v.connected()
	if len(first.Snapshot.Workers) != 1 || first.Cause != nil || first.AsOf.IsZero() {
		t.Errorf("the first view is %+v", first)
	}
	moved := worker("b")
	moved.Port = 9
	for _, step := range []func() error{
		func() error { register(t, c, worker("a"), worker("c")); return nil },
		func() error { register(t, c, moved); return nil },
		func() error {
			register(t, c, registry.Component{Kind: registry.Hive, ID: "b", Hostname: "h", Port: 1})
			return nil
		},
		func() error {
			register(t, c, registry.Component{Kind: registry.Queen, ID: "q", Hostname: "h", Port: 2})
			return nil
		},
		func() error { return c.Unregister(t.Context(), worker("c")) },
		func() error { return c.Unregister(t.Context(), registry.Component{Kind: registry.Queen, ID: "q"}) },
		func() error {
			register(t, c, registry.Component{Kind: registry.Queen, ID: "r", Hostname: "h", Port: 2})
			return nil
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		v.everything(c)
	}
	if len(first.Snapshot.Workers) != 1 || first.Snapshot.Workers[0].Port != 8080 {
		t.Errorf("a view that was given out has become %+v", first.Snapshot)
	}
}

// Of several GUIs one is shown; when it goes, another.
func TestWatchOfSeveralGUIs(t *testing.T) {
	ts := serveWatched(t, server.New(server.Config{}).Handler())
	c := dial(t, quick(ts.URL))
	gui := func(id string) registry.Component {
		return registry.Component{Kind: registry.GUI, ID: id, Hostname: "h", Port: 5173}
	}
	register(t, c, gui("a"), gui("b"))
	v := watch(t, c)
	v.everything(c)
	for _, id := range []string{"b", "c", "d"} { // gone when they are there
		if err := c.Unregister(t.Context(), gui(id)); err != nil {
			register(t, c, gui(id))
		}
		v.everything(c)
	}
	for _, id := range []string{"c", "d", "a"} {
		if err := c.Unregister(t.Context(), gui(id)); err != nil {
			t.Fatal(err)
		}
		v.everything(c)
	}
}

func TestTwoWatchesOfOneClient(t *testing.T) {
	ts := serveWatched(t, server.New(server.Config{}).Handler())
	c := dial(t, quick(ts.URL))
	a, b := watch(t, c), watch(t, c)
	a.connected()
	b.connected()
	register(t, c, worker("w"))
	a.workers(1)
	b.workers(1)
}

// Who takes no view for long gets the newest one then.
func TestASlowWatcherGetsTheNewestView(t *testing.T) {
	ts := serveWatched(t, server.New(server.Config{}).Handler())
	c := dial(t, quick(ts.URL))
	quickOne, slow := watch(t, c), watch(t, c)
	slow.connected()
	for i := range 500 {
		register(t, c, worker(fmt.Sprint("w", i)))
	}
	quickOne.workers(500)
	views := 0
	slow.until("all of them", func(v registry.View) bool { views++; return len(v.Snapshot.Workers) == 500 })
	if views > 250 {
		t.Errorf("it was given %d views of 500 changes", views)
	}
}

func TestWatchEnds(t *testing.T) {
	ts := serveWatched(t, server.New(server.Config{}).Handler())
	c := dial(t, quick(ts.URL))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for v := range c.Watch(ctx) {
		if ctx.Err() != nil {
			t.Errorf("after the end it yields %+v", v)
		}
		if v.Connected {
			stop()
		}
	}
	for range c.Watch(t.Context()) {
		break
	}
	ts.Close() // hangs while a stream is open
}

func TestWatchOverARestart(t *testing.T) {
	d := &door{}
	d.put(server.New(server.Config{}).Handler())
	ts := serveWatched(t, d)
	c := dial(t, quick(ts.URL))
	register(t, c, worker("a"), worker("b"))
	v := watch(t, c)
	before := v.workers(2)

	d.shut.Store(true)
	ts.CloseClientConnections()
	v.disconnected(nil) // cut
	away := v.disconnected(registry.ErrUnreachable)
	if !same(away.Snapshot, before.Snapshot) || away.AsOf.Before(before.AsOf) {
		t.Errorf("while the registry is away: %+v, before: %+v", away, before)
	}
	d.put(server.New(server.Config{}).Handler())
	d.shut.Store(false)
	register(t, c, worker("c"))
	after := v.workers(1)
	if after.Snapshot.Epoch == before.Snapshot.Epoch || after.Snapshot.Workers[0].ID != "c" || !after.AsOf.After(away.AsOf) {
		t.Errorf("the new registry is seen as %+v", after)
	}
}

// A cut stream goes on where it was, and a registry that is gone, at its end, says so.
func TestWatchResumes(t *testing.T) {
	s := server.New(server.Config{})
	var resumed atomic.Int64
	ts := serveWatched(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/watch") && r.Header.Get("Last-Event-ID") != "" {
			resumed.Add(1)
		}
		s.Handler().ServeHTTP(w, r)
	}))
	c := dial(t, quick(ts.URL))
	register(t, c, worker("a"))
	v := watch(t, c)
	v.workers(1)
	ts.CloseClientConnections()
	register(t, c, worker("b"))
	v.workers(2)
	if resumed.Load() != 1 {
		t.Errorf("it resumed %d times", resumed.Load())
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Run(ctx); err != nil { // it leaves
		t.Fatal(err)
	}
	if gone := v.disconnected(nil); !strings.Contains(gone.Cause.Error(), "shutting_down") {
		t.Errorf("the registry has left, and the cause is %v", gone.Cause)
	}
}
