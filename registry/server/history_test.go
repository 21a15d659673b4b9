package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// history is what the registry held at each revision, as everybody has seen it. Two who
// saw something else at the same revision can't both be right.
type history struct {
	mu   sync.Mutex
	at   map[uint64]string
	errs []string
}

func (h *history) saw(who string, revision uint64, content string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known, there := h.at[revision]; there && known != content {
		h.errs = append(h.errs, fmt.Sprintf("at revision %d %s has seen %q, somebody else %q", revision, who, content, known))
	}
	h.at[revision] = content
}

func (h *history) wrong(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = append(h.errs, fmt.Sprintf(format, args...))
}

// follower builds the registry's content from what a watch tells it.
type follower struct {
	name     string
	url      string
	filter   func(registry.Entry) bool // as in the url; nil for everything
	patience func()                    // between two events
	leaves   func() bool               // whether it breaks its connection off now
	h        *history

	entries  map[string]registry.Entry
	revision uint64
	last     string // the id of the last event
	resets   int
}

// follow watches until it has seen the revision that the registry ended with.
func (f *follower) follow(client *http.Client, end func() (revision uint64, known bool)) {
	for {
		w, err := open(client, f.url, f.last)
		if err != nil {
			f.h.wrong("%s: %v", f.name, err)
			return
		}
		done, err := f.listen(w, end)
		w.close()
		if err != nil {
			f.h.wrong("%s: %v", f.name, err)
		}
		if done || err != nil {
			return
		}
	}
}

func (f *follower) listen(w *watcher, end func() (uint64, bool)) (done bool, err error) {
	for {
		if last, known := end(); known && f.revision >= last {
			return true, nil
		}
		if f.leaves() && f.last != "" {
			return false, nil
		}
		e, err := w.next()
		if err == io.EOF {
			return false, fmt.Errorf("the stream ended without a bye")
		}
		if err != nil {
			return false, err
		}
		if e.name == "bye" {
			return false, nil
		}
		if e.name == "" {
			continue
		}
		if err := f.take(e); err != nil {
			return false, err
		}
		f.last = e.id
		f.patience()
	}
}

func (f *follower) take(e event) error {
	if e.name == "reset" {
		var all registry.Snapshot
		if err := json.Unmarshal([]byte(e.data), &all); err != nil {
			return err
		}
		if all.Revision < f.revision {
			return fmt.Errorf("reset from %d back to %d", f.revision, all.Revision)
		}
		f.entries, f.revision = map[string]registry.Entry{}, all.Revision
		f.resets++
		for _, e := range all.Workers {
			f.entries[e.ID] = e
		}
	} else {
		var c registry.Change
		if err := json.Unmarshal([]byte(e.data), &c); err != nil {
			return err
		}
		if err := f.apply(c); err != nil {
			return err
		}
	}
	if !strings.HasSuffix(e.id, fmt.Sprintf(".%d", f.revision)) {
		return fmt.Errorf("the event of revision %d has the id %s", f.revision, e.id)
	}
	if f.filter == nil {
		f.h.saw(f.name, f.revision, content(f.entries))
	}
	return nil
}

func (f *follower) apply(c registry.Change) error {
	switch {
	case c.Revision <= f.revision:
		return fmt.Errorf("after revision %d comes %d", f.revision, c.Revision)
	case f.filter == nil && c.Revision != f.revision+1:
		return fmt.Errorf("from revision %d to %d something is missing", f.revision, c.Revision)
	}
	f.revision = c.Revision
	if c.Gone() || (f.filter != nil && !f.filter(c.Component)) {
		delete(f.entries, c.Component.ID)
	} else {
		f.entries[c.Component.ID] = c.Component
	}
	return nil
}

func content(entries map[string]registry.Entry) string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		all = append(all, fmt.Sprint(id, "/", entries[id].InstanceID, "/", entries[id].Model))
	}
	return strings.Join(all, " ")
}

// TestWatchesTellOneHistory: while writers write, all who watch see the same things in the
// same order, each once, none missing, each revision as a whole; also those who are slow,
// who come and go, and who are dropped and begin anew.
func TestWatchesTellOneHistory(t *testing.T) {
	t.Parallel()
	life := server.New(server.Config{})
	life.Keep(400)
	s := serve(t, life)
	h := &history{at: map[uint64]string{}}
	stay, hurry := func() bool { return false }, func() {}
	onlyM := func(e registry.Entry) bool { return e.Model == "m" }
	followers := []*follower{
		{name: "a steady one", leaves: stay, patience: hurry},
		{name: "another", leaves: stay, patience: hurry},
		{name: "a restless one", leaves: func() bool { return rand.N(10) == 0 }, patience: hurry},
		{name: "a slow one", leaves: stay, patience: func() { _ = s.get("health") }},
		{name: "one who sleeps", leaves: func() bool { return rand.N(50) == 0 }, patience: func() {
			for range rand.N(200) { // as long as others take for so much
				_ = s.get("workers")
			}
		}},
		{name: "a picky one", url: "?model=m", filter: onlyM, leaves: func() bool { return rand.N(20) == 0 }, patience: hurry},
	}
	var (
		mu       sync.Mutex
		final    uint64
		finished bool
		writing  sync.WaitGroup
		all      sync.WaitGroup
	)
	end := func() (uint64, bool) { mu.Lock(); defer mu.Unlock(); return final, finished }
	for _, f := range followers {
		f.h, f.url = h, s.url+f.url
		all.Go(func() { f.follow(s.client, end) })
	}
	all.Go(func() { listAgainAndAgain(s.api, h, end) })
	for range 3 {
		writing.Go(func() { writeAtRandom(s.api, 1000) })
	}
	writing.Wait()
	// The last change concerns everybody, so that the picky one gets to the end, too.
	s.want(200, s.post("register", `{"worker_id":"last","hostname":"h","port":1,"model":"m"}`))
	last := listOf(t, s.api)
	mu.Lock()
	final, finished = last.Revision, true
	mu.Unlock()
	s.want(200, s.post("register", `{"worker_id":"wake","hostname":"h","port":1,"model":"m"}`)) // for those who wait for an event
	all.Wait()
	for _, err := range h.errs {
		t.Error(err)
	}
	wake := listOf(t, s.api)
	for _, f := range followers {
		want := map[string]registry.Entry{}
		for _, e := range wake.Workers {
			if (f.filter == nil || f.filter(e)) && (e.ID != "wake" || f.entries["wake"].ID != "") {
				want[e.ID] = e
			}
		}
		if got := content(f.entries); got != content(want) {
			t.Errorf("in the end %s knows of %q, not %q", f.name, got, content(want))
		}
		t.Logf("%s was at revision %d, after %d resets", f.name, f.revision, f.resets)
	}
}

func listOf(t *testing.T, a api) (all registry.Snapshot) {
	t.Helper()
	if err := json.Unmarshal(a.get("components").body, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// writeAtRandom registers and unregisters at random.
func writeAtRandom(a api, times int) {
	for range times {
		id := fmt.Sprintf("w%d", rand.N(20))
		if rand.N(3) == 0 {
			a.unregister(fmt.Sprintf(`{"worker_id":%q}`, id))
			continue
		}
		a.post("register", fmt.Sprintf(`{"worker_id":%q,"instance_id":"%d","hostname":"h","port":1,"model":%q}`,
			id, rand.N(3), []string{"m", "n"}[rand.N(2)]))
	}
}

// listAgainAndAgain asks for everything until the end.
func listAgainAndAgain(a api, h *history, end func() (uint64, bool)) {
	for finished := false; !finished; _, finished = end() {
		var all registry.Snapshot
		if err := json.Unmarshal(a.get("components").body, &all); err != nil {
			h.wrong("a list: %v", err)
			return
		}
		entries := map[string]registry.Entry{}
		for _, e := range all.Workers {
			entries[e.ID] = e
		}
		h.saw("a list", all.Revision, content(entries))
	}
}
