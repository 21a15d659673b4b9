package queen

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// target is a worker that a request may go to.
type target struct {
	id    string
	life  registry.Component
	url   string // http://HOST:PORT: two ids at one address are one server
	model string // the model's name as the worker itself has it
	since int64  // Unix time: when it was registered
}

// listedModels are those that a worker's capabilities name.
func (m member) listedModels() iter.Seq[string] {
	caps, _ := m.capabilities()
	list, _ := caps["models"].([]any) // others' JSON: anything else is no list of names
	return func(yield func(string) bool) {
		for _, v := range list {
			if name, ok := v.(string); ok && name != "" && !yield(name) {
				return
			}
		}
	}
}

// alias is the name by which the worker's model was asked for when it was launched.
func (m member) alias() string {
	name, _ := m.Metadata[registry.AliasKey].(string) // others' JSON: anything else is none
	return name
}

// models are the names under which a worker's models can be asked for: those that it was
// registered with, and those that it serves by its own word.
func (m member) models() []string {
	names := slices.Collect(m.listedModels())
	for _, name := range []string{m.Model, m.alias()} {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ownName is what the worker itself calls the model; false when it does not serve it.
// Where it was registered with one name and serves one model under another, the two
// are the same: engines refuse names that they don't know.
func (m member) ownName(model string) (string, bool) {
	listed, last := 0, ""
	for name := range m.listedModels() {
		if name == model {
			return model, true
		}
		listed, last = listed+1, name
	}
	if model != "" && model == m.alias() {
		model = m.Model
	}
	switch {
	case model == "" || model != m.Model:
		return "", false
	case listed == 1:
		return last, true
	}
	return model, true
}

// serving are the online workers that serve the model. Without any it returns a
// Problem: 404, naming the models there are, or 503 when those that serve it are away.
func (t *table) serving(now time.Time, model string) ([]target, error) {
	var (
		able []target
		away []string
	)
	t.each(now, registry.Worker, func(m member, c clock) {
		own, serves := m.ownName(model)
		if !serves {
			return
		}
		if !registry.ValidHost(m.Hostname) {
			away = append(away, fmt.Sprintf("%s can't be reached, since %q is no host", m.ID, httpd.Brief(m.Hostname)))
			return
		}
		if status := m.status(c); status != registry.Online {
			away = append(away, fmt.Sprintf("%s is %s", m.ID, status))
			return
		}
		able = append(able, target{id: m.ID, life: m.Component, url: m.URL(), model: own, since: m.registeredAt.Unix()})
	})
	if len(able) > 0 {
		return able, nil
	}
	p := httpd.Errorf(http.StatusNotFound, codeNoModel, "the model %q is not here; %s", httpd.Brief(model), t.thereAre(now))
	if len(away) > 0 {
		slices.Sort(away)
		p = httpd.Errorf(http.StatusServiceUnavailable, codeNoneOnline, "no worker that serves %q is online: %s", httpd.Brief(model), enumerated(away))
	}
	p.Field = "model"
	return nil, p
}

// modelNeeded is the answer to who names no model.
func (t *table) modelNeeded(now time.Time) error {
	p := httpd.Errorf(http.StatusBadRequest, codeModelNeeded, "model: is missing; %s", t.thereAre(now))
	p.Field = "model"
	return p
}

// thereAre tells which models there are, in place of one that is not.
func (t *table) thereAre(now time.Time) string {
	var names []string
	for _, m := range t.models(now) {
		names = append(names, fmt.Sprintf("%q", m.ID))
	}
	if len(names) == 0 {
		return "no worker that serves a model is online"
	}
	return "there are " + enumerated(names)
}

// enumerated is a list for people, cut where it gets long.
func enumerated(list []string) string {
	const most = 20
	if n := len(list); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), n-most)
	}
	return strings.Join(list, ", ")
}

// modelList is /v1/models.
type modelList struct {
	Object string  `json:"object" enum:"list"`
	Data   []model `json:"data"`
}

// model is one entry of /v1/models.
type model struct {
	ID      string `json:"id"`
	Object  string `json:"object" enum:"model"`
	Created int64  `json:"created" doc:"Unix time: since when the first of the workers that serve it is registered."`
	OwnedBy string `json:"owned_by" enum:"rbee"`
}

// models are those that online workers serve, by id.
func (t *table) models(now time.Time) []model {
	since := map[string]int64{}
	t.each(now, registry.Worker, func(m member, c clock) {
		if m.status(c) != registry.Online {
			return
		}
		for _, name := range m.models() {
			if at, seen := since[name]; !seen || m.registeredAt.Unix() < at {
				since[name] = m.registeredAt.Unix()
			}
		}
	})
	list := []model{} // an empty list is [] in JSON, not null
	for name, at := range since {
		list = append(list, model{ID: name, Object: "model", Created: at, OwnedBy: "rbee"})
	}
	slices.SortFunc(list, func(a, b model) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// serving is the table's, but that she may have just started, and so waits until she knows
// the workers: a client takes a 404 for the last word on a model.
func (q *Queen) serving(ctx context.Context, model string) ([]target, error) {
	if able, err := q.table.serving(time.Now(), model); err == nil {
		return able, nil
	}
	q.orient(ctx)
	return q.table.serving(time.Now(), model)
}

func (q *Queen) listModels(w http.ResponseWriter, r *http.Request) error {
	q.orient(r.Context())
	return httpd.WriteJSON(w, http.StatusOK, modelList{"list", q.table.models(time.Now())})
}

func (q *Queen) oneModel(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	able, err := q.serving(r.Context(), id)
	if err != nil {
		return err
	}
	first := slices.MinFunc(able, func(a, b target) int { return cmp.Compare(a.since, b.since) })
	return httpd.WriteJSON(w, http.StatusOK, model{ID: id, Object: "model", Created: first.since, OwnedBy: "rbee"})
}
