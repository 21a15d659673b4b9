package gui

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// component is what the page shows of one: what the registry says of it, and the launch
// that it is, if it is one of this machine's.
type component struct {
	Key          string         `json:"key"` // KIND/ID
	Kind         string         `json:"kind"`
	ID           string         `json:"id"`
	InstanceID   string         `json:"instance_id,omitempty"`
	Hostname     string         `json:"hostname,omitempty"`
	Port         int            `json:"port,omitempty"`
	URL          string         `json:"url,omitempty"`
	Status       string         `json:"status"`
	WorkerType   string         `json:"worker_type,omitempty"`
	Model        string         `json:"model,omitempty"`  // as people know it: a file, or a name
	Serves       string         `json:"serves,omitempty"` // what requests call the model, where that is something else
	Engine       string         `json:"engine,omitempty"`
	Hive         string         `json:"hive,omitempty"`
	RegisteredAt time.Time      `json:"registered_at,omitzero"`
	StartedAt    time.Time      `json:"started_at,omitzero"`
	LastSeen     time.Time      `json:"last_seen,omitzero"`
	Metadata     map[string]any `json:"metadata,omitempty"`
	Capabilities any            `json:"capabilities,omitempty"`
	PID          int            `json:"pid,omitempty"`
	Restarts     *int           `json:"restarts,omitempty"` // none where nobody counts them
	Local        bool           `json:"local,omitempty"`
	Acts         string         `json:"acts,omitempty"`    // the base of what can be done to it
	WhyNot       string         `json:"why_not,omitempty"` // nothing can

	registered bool            // a registry has it in its list
	body       json.RawMessage // all of this, but for that
}

// The bases below which this machine's launches, and those of hives, are commanded, and
// where the queen is asked.
const (
	hereBase  = "/api/here"
	hiveBase  = "/api/hives/"
	queenBase = "/api/queen"
)

func keyOf(kind registry.Kind, id string) string { return string(kind) + "/" + id }

func ofEntry(e registry.Entry) component {
	c := component{
		Key: keyOf(e.Kind, e.ID), Kind: string(e.Kind), ID: e.ID, InstanceID: e.InstanceID,
		Hostname: e.Hostname, Port: e.Port, URL: e.URL(), Status: string(e.Status),
		WorkerType: e.WorkerType, RegisteredAt: e.RegisteredAt, StartedAt: begun(e), Metadata: e.Metadata,
		registered: true,
	}
	alias, _ := e.Metadata[registry.AliasKey].(string) // others' JSON: anything else is none
	c = c.hasModel(cmp.Or(alias, e.Model), e.Model)
	if e.Status != registry.Online { // of one that is heard, a view knows no better than that
		c.LastSeen = e.LastSeen
	}
	if e.Kind == registry.Worker {
		c.Hive = e.Hive()
	}
	c.Engine, _ = e.Metadata["engine"].(string)
	c.Capabilities = e.Metadata["capabilities"]
	return c
}

// begun is when a life began, as its instance's id says it, if that is a ULID: it stays
// the same when a registry begins anew, and has all register again. Zero is for other ids,
// and for clocks that are too far apart.
func begun(e registry.Entry) time.Time {
	id, err := ulid.ParseStrict(e.InstanceID)
	if err != nil {
		return time.Time{}
	}
	at := ulid.Time(id.Time()).UTC()
	if at.After(e.RegisteredAt) || at.Year() < 2020 {
		return time.Time{}
	}
	return at
}

// hasModel is the component with a model of that name, which serves under another one.
func (c component) hasModel(name, serves string) component {
	c.Model, c.Serves = name, ""
	if serves != name {
		c.Serves = serves
	}
	return c
}

// isLaunch adds what the launch that it is says of itself, which is closer to the truth
// than the registry's word.
func (c component) isLaunch(l launch.Launch) component {
	c.Local, c.Acts = true, hereBase
	c.PID, c.Restarts, c.StartedAt, c.Engine = l.PID, new(l.Restarts), l.StartedAt, l.Engine
	if l.Model != "" { // of a file it is the path, by which another worker can be started
		c = c.hasModel(l.Model, cmp.Or(c.Serves, c.Model, l.Model))
	}
	switch {
	case l.Status != launch.IsReady:
		c.Status = string(l.Status)
	case c.Status == "": // one word for it, whether a registry says it or not
		c.Status = string(registry.Online)
	}
	return c
}

// ofLaunch is one that the registry does not know, or not yet.
func ofLaunch(l launch.Launch) component {
	c := component{
		Key: keyOf(registry.Worker, l.ID), Kind: string(registry.Worker), ID: l.ID, InstanceID: l.InstanceID,
		Hostname: "localhost", Port: l.Port, URL: l.URL, WorkerType: l.Type, Model: l.Model,
		Hive: registry.Component{Metadata: map[string]any{"spawned_by": l.SpawnedBy}}.Hive(),
	}
	return c.isLaunch(l)
}
