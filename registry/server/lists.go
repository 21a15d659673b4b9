package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

func (s *Server) hives(w http.ResponseWriter, r *http.Request) error {
	hives, revision := s.table.list(time.Now(), func(e *registry.Entry) bool { return e.Kind == registry.Hive })
	return s.answer(w, r, revision, hives)
}

func (s *Server) workers(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	filter := registry.Filter{
		WorkerType: q.Get("worker_type"),
		Model:      q.Get("model"),
		Status:     registry.Status(q.Get("status")),
		Hive:       q.Get("hive"),
	}
	switch filter.Status {
	case "", registry.Online, registry.Offline:
	default:
		return httpd.InvalidField("status", "%q is neither online nor offline", filter.Status)
	}
	workers, revision := s.table.list(time.Now(), func(e *registry.Entry) bool {
		return e.Kind == registry.Worker && filter.Match(*e)
	})
	return s.answer(w, r, revision, workers)
}

func (s *Server) queen(w http.ResponseWriter, r *http.Request) error {
	queens, revision := s.table.list(time.Now(), func(e *registry.Entry) bool { return e.Kind == registry.Queen })
	if len(queens) == 0 {
		return httpd.Errorf(http.StatusNotFound, registry.CodeNoQueen, "no queen is registered")
	}
	return s.answer(w, r, revision, queens[0])
}

func (s *Server) components(w http.ResponseWriter, r *http.Request) error {
	all, revision := s.table.list(time.Now(), func(*registry.Entry) bool { return true })
	return s.answer(w, r, revision, s.snapshot(all, revision))
}

func (s *Server) snapshot(all []registry.Entry, revision uint64) registry.Snapshot {
	snap := registry.Snapshot{
		Epoch: s.epoch, Revision: revision,
		Hives: []registry.Entry{}, Workers: []registry.Entry{},
	}
	for _, e := range all {
		switch e.Kind {
		case registry.Hive:
			snap.Hives = append(snap.Hives, e)
		case registry.Worker:
			snap.Workers = append(snap.Workers, e)
		case registry.Queen:
			snap.Queen = &e
		case registry.GUI:
			// Users may open several; the design has one place, which goes to
			// the one that came last.
			if snap.GUI == nil || e.RegisteredAt.After(snap.GUI.RegisteredAt) {
				snap.GUI = &e
			}
		}
	}
	return snap
}

// answer sends v, or nothing when the caller has that revision.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, revision uint64, v any) error {
	tag := fmt.Sprintf(`"%s.%d"`, s.epoch, revision)
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache") // that is: ask each time, with the tag
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		known = strings.TrimPrefix(strings.TrimSpace(known), "W/")
		if known == tag || known == "*" {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	return httpd.WriteJSON(w, http.StatusOK, v)
}

type health struct {
	Status   string `json:"status"`
	Epoch    string `json:"epoch"`
	Revision uint64 `json:"revision"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, health{"ok", s.epoch, s.table.sweep(time.Now())})
}
