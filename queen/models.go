package queen

import (
	"cmp"
	"fmt"
	"maps"
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
	host  string
	url   string // http://HOST:PORT: two ids at one address are one server
	model string // the model's name as the worker itself has it
	since int64  // Unix time: when it was registered
}

// listedModels are those that a worker's capabilities name.
func (m member) listedModels() (names []string) {
	caps, _ := m.capabilities()
	list, _ := caps["models"].([]any) // others' JSON: anything else is no list of names
	for _, v := range list {
		if name, ok := v.(string); ok && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// models are the names under which a worker's models can be asked for: the one that
// it was registered with, and those that it serves by its own word.
func (m member) models() []string {
	names := m.listedModels()
	if m.Model != "" && !slices.Contains(names, m.Model) {
		names = append(names, m.Model)
	}
	return names
}

// ownName is what the worker itself calls the model; false when it does not serve it.
// Where it was registered with one name and serves one model under another, the two
// are the same: engines refuse names that they don't know.
func (m member) ownName(model string) (string, bool) {
	names := m.listedModels()
	switch {
	case slices.Contains(names, model):
		return model, true
	case model == "" || model != m.Model:
		return "", false
	case len(names) == 1:
		return names[0], true
	}
	return model, true
}

// serving are the online workers that serve the model. Without any it returns a
// Problem: 404, naming the models there are, or 503 when those that serve it are away.
func (t *table) serving(now time.Time, model string) ([]target, error) {
	var (
		able []target
		away []string
		here = map[string]bool{}
	)
	t.each(now, registry.Worker, func(m member, c clock) {
		status := m.status(c)
		own, serves := m.ownName(model)
		switch {
		case serves && status == registry.Online && validHost(m.Hostname):
			able = append(able, target{id: m.ID, host: m.Hostname, url: m.URL(), model: own, since: m.registeredAt.Unix()})
		case serves:
			away = append(away, fmt.Sprintf("%s is %s", m.ID, status))
		case status == registry.Online:
			for _, name := range m.models() {
				here[name] = true
			}
		}
	})
	switch {
	case len(able) > 0:
		return able, nil
	case len(away) > 0:
		slices.Sort(away)
		p := httpd.Errorf(http.StatusServiceUnavailable, codeNoneOnline, "no worker that serves %q is online: %s", model, enumerated(away))
		p.Field = "model"
		return nil, p
	}
	p := httpd.Errorf(http.StatusNotFound, codeNoModel, "the model %q is not here; %s", model, thereAre(here))
	p.Field = "model"
	return nil, p
}

// modelNeeded is the answer to who names no model.
func (t *table) modelNeeded(now time.Time) error {
	here := map[string]bool{}
	for _, m := range t.models(now) {
		here[m.ID] = true
	}
	p := httpd.Errorf(http.StatusBadRequest, codeModelNeeded, "model: is missing; %s", thereAre(here))
	p.Field = "model"
	return p
}

func thereAre(models map[string]bool) string {
	if len(models) == 0 {
		return "no worker that serves a model is online"
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(models)) {
		names = append(names, fmt.Sprintf("%q", name))
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

func (q *Queen) listModels(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, modelList{"list", q.table.models(time.Now())})
}

func (q *Queen) oneModel(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	able, err := q.table.serving(time.Now(), id)
	if err != nil {
		return err
	}
	first := slices.MinFunc(able, func(a, b target) int { return cmp.Compare(a.since, b.since) })
	return httpd.WriteJSON(w, http.StatusOK, model{ID: id, Object: "model", Created: first.since, OwnedBy: "rbee"})
}
