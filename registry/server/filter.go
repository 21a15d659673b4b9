package server

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// filter is which components a client wants to know of.
type filter struct {
	registry.Filter
	kind  registry.Kind // "" is all
	after string        // an id: those that follow on it
	limit int           // 0: all
}

// maxPage bounds ?limit=.
const maxPage = 100_000

// readFilter reads a query; kind is what the path is about already, "" for everything.
func readFilter(q url.Values, kind registry.Kind) (filter, error) {
	f := filter{kind: kind, after: q.Get("after"), Filter: registry.Filter{
		WorkerType: q.Get("worker_type"),
		Model:      q.Get("model"),
		Status:     registry.Status(q.Get("status")),
		Hive:       q.Get("hive"),
	}}
	for name, values := range q {
		if field, ok := strings.CutPrefix(name, "metadata."); ok && field != "" {
			if f.Metadata == nil {
				f.Metadata = map[string]string{}
			}
			f.Metadata[field] = values[0]
		}
	}
	if kind == "" {
		f.kind = registry.Kind(q.Get("component_type"))
	}
	switch f.kind {
	case "", registry.Hive, registry.Worker, registry.Queen, registry.GUI:
	default:
		return f, httpd.InvalidField("component_type", "%q is none of hive, worker, queen, gui", f.kind)
	}
	switch f.Status {
	case "", registry.Online, registry.Offline:
	default:
		return f, httpd.InvalidField("status", "%q is neither online nor offline", f.Status)
	}
	if text := q.Get("limit"); text != "" {
		var err error
		if f.limit, err = strconv.Atoi(text); err != nil || f.limit < 1 || f.limit > maxPage {
			return f, httpd.InvalidField("limit", "%q is no number in 1-%d", text, maxPage)
		}
	}
	return f, nil
}

// readWholeFilter reads the query of an answer about everybody, which has no pages.
func readWholeFilter(q url.Values) (filter, error) {
	f, err := readFilter(q, "")
	if err == nil && (f.limit != 0 || f.after != "") {
		err = httpd.InvalidField("limit", "limit and after are for the lists of one kind: /v1/registry/workers and hives")
	}
	return f, err
}

func (f filter) match(r *record) bool {
	return (f.kind == "" || f.kind == r.Kind) && f.Match(r.Entry)
}

// key names the filter, as no other is named.
func (f filter) key() string {
	text, _ := json.Marshal(struct {
		registry.Filter
		Kind  registry.Kind
		After string
		Limit int
	}{f.Filter, f.kind, f.after, f.limit}) // strings and maps of strings have no errors
	return string(text)
}
