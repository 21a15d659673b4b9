package server

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

func (s *Server) hives(w http.ResponseWriter, r *http.Request) error {
	return s.list(w, r, registry.Hive)
}

func (s *Server) workers(w http.ResponseWriter, r *http.Request) error {
	return s.list(w, r, registry.Worker)
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, kind registry.Kind) error {
	f, err := readFilter(r.URL.Query(), kind)
	if err != nil {
		return err
	}
	v := s.store.current()
	if s.isKnown(w, r, v) {
		return nil
	}
	d := v.list(f, s.clock)
	if d.last != "" {
		w.Header().Set("Link", "<"+nextPage(r.URL, d.last)+`>; rel="next"`)
	}
	send(w, r, d)
	return nil
}

// nextPage is the address of what follows on a page whose last component has that id.
func nextPage(page *url.URL, last string) string {
	q := page.Query()
	q.Set("after", last)
	return (&url.URL{Path: page.Path, RawQuery: q.Encode()}).String()
}

func (s *Server) queen(w http.ResponseWriter, r *http.Request) error {
	v := s.store.current()
	queens := v.of(registry.Queen)
	if len(queens) == 0 {
		return httpd.Errorf(http.StatusNotFound, registry.CodeNoQueen, "no queen is registered")
	}
	if !s.isKnown(w, r, v) {
		send(w, r, &document{body: append(queens[0].appendJSON(nil, s.clock.born()), '\n')})
	}
	return nil
}

func (s *Server) components(w http.ResponseWriter, r *http.Request) error {
	f, err := readWholeFilter(r.URL.Query())
	if err != nil {
		return err
	}
	if v := s.store.current(); !s.isKnown(w, r, v) {
		send(w, r, v.snapshot(s.epoch, f, s.clock))
	}
	return nil
}

// tag names a revision for those who compare.
func (s *Server) tag(revision uint64) string { return s.epoch + "." + strconv.FormatUint(revision, 10) }

// isKnown answers a caller who has that revision already.
func (s *Server) isKnown(w http.ResponseWriter, r *http.Request, v *view) bool {
	tag := `"` + s.tag(v.revision) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache") // that is: ask each time, with the tag
	w.Header().Set("Vary", "Accept-Encoding")
	for known := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		known = strings.TrimPrefix(strings.TrimSpace(known), "W/")
		if known == tag || known == "*" {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
	}
	return false
}

// worthZipping is the size in bytes from which on an answer is compressed for who asks:
// below, it fits one packet anyway.
const worthZipping = 1 << 10

func send(w http.ResponseWriter, r *http.Request, d *document) {
	body := d.body
	if len(body) > worthZipping && httpd.TakesGzip(r) {
		body = d.zipped()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Type", cmp.Or(d.media, "application/json"))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
}

type health struct {
	Status   string `json:"status"`
	Epoch    string `json:"epoch"`
	Revision uint64 `json:"revision"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, health{"ok", s.epoch, s.store.current().revision})
}

// since reads a revision of this life, "EPOCH.REVISION" or "REVISION"; it is not ok when
// it is another life's, or has not been yet.
func (s *Server) since(text string, v *view) (revision uint64, ok bool, err error) {
	epoch, number, full := strings.Cut(text, ".")
	if !full {
		epoch, number = s.epoch, text
	}
	revision, err = strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%q is no revision", text)
	}
	return revision, epoch == s.epoch && revision <= v.revision, nil
}
