package registry

import "time"

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

// Entry is a component as the registry keeps it.
type Entry struct {
	Component
	Status       Status
	RegisteredAt time.Time // wall clock, for people; expiry is judged by the monotonic one
	LastSeen     time.Time
}
