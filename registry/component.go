package registry

import (
	"encoding/json"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/oklog/ulid/v2"
)

// Kind is what a component is; its component_type on the wire.
type Kind string

// The kinds there are.
const (
	Hive   Kind = "hive"
	Worker Kind = "worker"
	Queen  Kind = "queen"
	GUI    Kind = "gui"
)

// Status is what the registry makes of a component's heartbeats.
type Status string

// The statuses there are. The queen adds Registered: known, not yet heard from.
const (
	Registered Status = "registered"
	Online     Status = "online"
	Offline    Status = "offline"
)

// Default addresses and intervals, as the wire contract fixes them.
const (
	DefaultURL        = "http://127.0.0.1:7830" // rbee-registry
	DefaultPort       = 7830
	HeartbeatInterval = 15 * time.Second // to the registry
)

// Limits of what a component may say of itself, in bytes.
const (
	MaxID       = 128     // ids, instance ids and worker types
	MaxHostname = 253     // the longest name that DNS has
	MaxModel    = 1 << 10 // a model's name may be a path or a URL
	MaxMetadata = 16 << 10
)

// HasControl reports whether there is a control character in text, as there is in no id, no
// type, and no model that is asked for.
func HasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }

// Component is what one program says of itself when it registers. Kind and ID
// name it; InstanceID is one life of it (a ULID made at start).
type Component struct {
	Kind       Kind
	ID         string
	InstanceID string
	Hostname   string // where others reach it: a name or an address
	Port       int    // 1-65535
	WorkerType string // workers: "llm", "vllm", "comfy", ...
	Model      string // workers: the model served, "" when there is none
	Metadata   map[string]any
}

// Hive is the id of the hive that a worker belongs to, as its metadata says it
// (hive_id, else a spawned_by of "hive-ID"); "" when no hive is its parent.
func (c Component) Hive() string {
	if id, ok := c.Metadata["hive_id"].(string); ok {
		return id
	}
	spawner, _ := c.Metadata["spawned_by"].(string)
	id, _ := strings.CutPrefix(spawner, "hive-")
	if id == spawner {
		return ""
	}
	return id
}

// SchemeKey is the field of the metadata by which a component that speaks TLS says so,
// with the value "https".
const SchemeKey = "scheme"

// AliasKey is the field of the metadata with the name by which a worker's model was asked
// for, where the worker serves it under another.
const AliasKey = "alias"

// MetricsKey is the field of the metadata with the path of a component's metrics for
// Prometheus, "" for none. Whoever does not say has them at /metrics, a page none.
const MetricsKey = "metrics_path"

// NewLife is a program that begins to listen: a component with an instance of its own, at
// the port of addr on the host under which others reach it. It says if it speaks TLS.
func NewLife(kind Kind, id, host string, addr net.Addr, speaksTLS bool) Component {
	c := Component{Kind: kind, ID: id, InstanceID: ulid.Make().String(), Hostname: host}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		c.Port = tcp.Port
	}
	if speaksTLS {
		c.Metadata = map[string]any{SchemeKey: "https"}
	}
	return c
}

// Addr is where others reach the component, HOST:PORT with an IPv6 address in brackets.
func (c Component) Addr() string {
	return net.JoinHostPort(strings.Trim(c.Hostname, "[]"), strconv.Itoa(c.Port))
}

// URL is the same as a URL.
func (c Component) URL() string {
	at := url.URL{Scheme: "http", Host: c.Addr()}
	if c.Metadata[SchemeKey] == "https" {
		at.Scheme = "https"
	}
	return at.String()
}

// Entry is a component as the registry keeps it.
type Entry struct {
	Component
	Status       Status
	RegisteredAt time.Time // wall clock, for people; expiry is judged by the monotonic one
	LastSeen     time.Time
}

// Snapshot is everything the registry knows at one revision. Revisions count
// within one life of the registry, which Epoch names.
type Snapshot struct {
	Epoch    string  `json:"epoch" doc:"Names this life of the registry."`
	Revision uint64  `json:"revision" doc:"Counts visible changes within one epoch."`
	Hives    []Entry `json:"hives"`
	Workers  []Entry `json:"workers"`
	Queen    *Entry  `json:"queen"`
	GUI      *Entry  `json:"gui" doc:"The one that came last, where there are several."`
}

// Op is what happened to a component, as a watch tells it.
type Op string

// The ops there are.
const (
	OpRegistered   Op = "registered" // for the first time, or as another instance
	OpUpdated      Op = "updated"    // the same instance says something else of itself
	OpOnline       Op = "online"
	OpOffline      Op = "offline"
	OpUnregistered Op = "unregistered"
	OpExpired      Op = "expired" // it was silent for too long, or another took its place
)

// Change is one visible change, and one revision.
type Change struct {
	Revision  uint64 `json:"revision"`
	Op        Op     `json:"op" enum:"registered,updated,online,offline,unregistered,expired"`
	Component Entry  `json:"component" doc:"As it is now, or was last."`
}

// Gone reports whether the component is not registered any more.
func (c Change) Gone() bool { return c.Op == OpUnregistered || c.Op == OpExpired }

// Filter chooses components. An empty field chooses all.
type Filter struct {
	WorkerType string
	Model      string
	Status     Status
	Hive       string // the hive's id
	// Metadata has values that the metadata must have: a string as it is, a number, true,
	// false or null as JSON writes it.
	Metadata map[string]string
}

// Match reports whether the filter chooses e.
func (f Filter) Match(e Entry) bool {
	for name, want := range f.Metadata {
		value, there := e.Metadata[name]
		if !there || !says(value, want) {
			return false
		}
	}
	return (f.WorkerType == "" || f.WorkerType == e.WorkerType) &&
		(f.Model == "" || f.Model == e.Model) &&
		(f.Status == "" || f.Status == e.Status) &&
		(f.Hive == "" || f.Hive == e.Hive())
}

// says reports whether a value of metadata is want. Lists and objects are nothing.
func says(value any, want string) bool {
	switch v := value.(type) {
	case string:
		return v == want
	case nil, bool, float64:
		text, err := json.Marshal(v)
		return err == nil && string(text) == want
	}
	return false
}
