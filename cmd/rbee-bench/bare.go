package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// bare is the least that could be done for the registry's requests: a mutex, a map and
// encoding/json. It has no limits and judges nobody, and it makes each answer anew.
type bare struct {
	mu       sync.Mutex
	revision int64
	entries  map[string]map[string]*bareEntry // by kind and id
	watchers map[chan bareEntry]bool
}

type bareEntry struct {
	Kind       string         `json:"component_type"`
	ID         string         `json:"component_id"`
	InstanceID string         `json:"instance_id"`
	Hostname   string         `json:"hostname"`
	Port       int            `json:"port"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	LastSeen   time.Time      `json:"last_seen"`
	Beats      int            `json:"beats"`
}

type bareBody struct {
	bareEntry
	Components []bareEntry `json:"components"`
}

func newBare() *bare {
	return &bare{entries: map[string]map[string]*bareEntry{}, watchers: map[chan bareEntry]bool{}}
}

func (b *bare) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/registry/register", b.register)
	mux.HandleFunc("POST /v1/registry/heartbeat", b.heartbeat)
	mux.HandleFunc("GET /v1/registry/workers", b.list("worker"))
	mux.HandleFunc("GET /v1/registry/hives", b.list("hive"))
	mux.HandleFunc("GET /v1/registry/watch", b.watch)
	mux.HandleFunc("GET /health", b.health)
	return mux
}

func (b *bare) read(w http.ResponseWriter, r *http.Request) (body bareBody, ok bool) {
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return body, false
	}
	return body, true
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func (b *bare) register(w http.ResponseWriter, r *http.Request) {
	body, ok := b.read(w, r)
	if !ok {
		return
	}
	if body.Components == nil {
		reply(w, b.keep(body.bareEntry))
		return
	}
	kept := make([]bareEntry, 0, len(body.Components))
	for _, e := range body.Components {
		kept = append(kept, b.keep(e))
	}
	reply(w, map[string]any{"registered": kept})
}

func (b *bare) keep(e bareEntry) bareEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e.LastSeen = time.Now()
	if b.entries[e.Kind] == nil {
		b.entries[e.Kind] = map[string]*bareEntry{}
	}
	b.entries[e.Kind][e.ID] = &e
	b.revision++
	for events := range b.watchers {
		select {
		case events <- e:
		default: // a watcher this slow has missed it
		}
	}
	return e
}

func (b *bare) heartbeat(w http.ResponseWriter, r *http.Request) {
	body, ok := b.read(w, r)
	if !ok {
		return
	}
	if body.Components != nil {
		revision, unknown := b.beat(body.Components...)
		reply(w, map[string]any{"revision": revision, "unknown": unknown})
		return
	}
	revision, unknown := b.beat(body.bareEntry)
	if len(unknown) > 0 {
		http.Error(w, "unknown", http.StatusNotFound)
		return
	}
	reply(w, map[string]int64{"revision": revision})
}

func (b *bare) beat(batch ...bareEntry) (revision int64, unknown []bareEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	unknown = []bareEntry{}
	for _, beat := range batch {
		e, known := b.entries[beat.Kind][beat.ID]
		if !known {
			unknown = append(unknown, beat)
			continue
		}
		e.LastSeen = time.Now()
		e.Beats++
	}
	return b.revision, unknown
}

func (b *bare) current() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.revision
}

func (b *bare) list(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		all := make([]bareEntry, 0, len(b.entries[kind]))
		for _, e := range b.entries[kind] {
			all = append(all, *e)
		}
		b.mu.Unlock()
		reply(w, all)
	}
}

func (b *bare) health(w http.ResponseWriter, _ *http.Request) {
	reply(w, map[string]any{"status": "ok", "revision": b.current()})
}

// watch gives each watcher a channel, and encodes each event for each.
func (b *bare) watch(w http.ResponseWriter, r *http.Request) {
	events := make(chan bareEntry, 256)
	b.mu.Lock()
	b.watchers[events] = true
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.watchers, events)
		b.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "event: reset\ndata: {}\n\n")
	answer := http.NewResponseController(w)
	for {
		if err := answer.Flush(); err != nil {
			return
		}
		select {
		case e := <-events:
			text, err := json.Marshal(map[string]any{"op": "registered", "component": e})
			if err != nil {
				return
			}
			fmt.Fprintf(w, "event: change\ndata: %s\n\n", text)
		case <-r.Context().Done():
			return
		}
	}
}
