package server

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/rbee-launch/rbee-launch/registry"
)

// targets are what Prometheus is to scrape, in the form that its http_sd_configs reads.
// The offline are among them: Prometheus shows them as down, which they are. Those that
// have no metrics are not.
func (s *Server) targets(w http.ResponseWriter, r *http.Request) error {
	f, err := readWholeFilter(r.URL.Query())
	if err != nil {
		return err
	}
	if v := s.store.current(); !s.isKnown(w, r, v) {
		send(w, r, v.targets(f, s.clock))
	}
	return nil
}

// targetGroup is one component: each has labels of its own.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func (v *view) targets(f filter, c clock) *document {
	return v.document("targets "+f.key(), c.now(), func(d *document) {
		list, _ := v.pick(f)
		d.body = append(make([]byte, 0, sizeOf(list)), '[')
		for _, r := range list {
			if path, ok := metricsPath(r.Entry); ok {
				text, _ := json.Marshal(newTargetGroup(r.Entry, path)) // strings have no errors
				d.body = append(append(d.body, text...), ',')
			}
		}
		d.body = append(bytes.TrimSuffix(d.body, []byte(",")), "]\n"...)
	})
}

// metricsPath is where an entry's metrics are, "" if that is not said; false where there are
// none.
func metricsPath(e registry.Entry) (path string, ok bool) {
	path, told := e.Metadata[registry.MetricsKey].(string)
	if told {
		return path, path != ""
	}
	return "", e.Kind != registry.GUI
}

func newTargetGroup(e registry.Entry, path string) targetGroup {
	const meta = "__meta_rbee_"
	labels := map[string]string{
		meta + "component_type": string(e.Kind),
		meta + "component_id":   e.ID,
		meta + "instance_id":    e.InstanceID,
		meta + "status":         string(e.Status),
		meta + "worker_type":    e.WorkerType,
		meta + "model":          e.Model,
	}
	// Backwards, so that of two names that become one label the first always has it.
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(e.Metadata))) {
		if text, ok := plain(e.Metadata[name]); ok {
			labels[meta+"metadata_"+labelName(name)] = text
		}
	}
	if e.Metadata[registry.SchemeKey] == "https" {
		labels["__scheme__"] = "https"
	}
	labels["__metrics_path__"] = path
	// To Prometheus, an empty label is one that is not there.
	maps.DeleteFunc(labels, func(_, value string) bool { return value == "" })
	return targetGroup{Targets: []string{e.Addr()}, Labels: labels}
}

// plain is what a label can say of a value of metadata: a string, a number, true or false.
func plain(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool, float64:
		text, err := json.Marshal(v)
		return string(text), err == nil
	}
	return "", false
}

// labelName has '_' for all that no label's name may have in it.
func labelName(name string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
			return c
		}
		return '_'
	}, name)
}
