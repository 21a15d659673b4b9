package client

import (
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Registration is the body of POST /v1/queen/register-worker. InstanceID names
// one life of the worker; without one, a new address is a new life.
//
// Capabilities are what the spawner knows the worker can do; they count where
// the worker itself does not answer GET /capabilities. Metadata is kept and
// listed; its "capabilities" stand in for the field when that is absent.
type Registration struct {
	WorkerID     string         `json:"worker_id" maxLength:"128"`
	InstanceID   string         `json:"instance_id,omitempty" maxLength:"128" doc:"One life of it, a ULID made at its start."`
	Hostname     string         `json:"hostname" maxLength:"253" doc:"Where others reach it: a name or an address."`
	Port         int            `json:"port" minimum:"1" maximum:"65535"`
	WorkerType   string         `json:"worker_type" required:"false" maxLength:"128"`
	Model        string         `json:"model,omitempty" maxLength:"1024"`
	SpawnedBy    string         `json:"spawned_by,omitempty" maxLength:"128" doc:"Who started it: gui, hive-NAME."`
	Capabilities map[string]any `json:"capabilities,omitempty" doc:"For a worker that does not answer GET /capabilities itself."`
	Metadata     map[string]any `json:"metadata,omitempty"`
}

// Receipt answers a registration: the worker as it was stored, how often to
// beat, and what was changed about it, if anything.
type Receipt struct {
	Worker
	HeartbeatSeconds float64 `json:"heartbeat_seconds" doc:"The longest time to leave between heartbeats."`
	Note             string  `json:"note,omitempty" doc:"What the queen changed in it, if anything."`
}

// Beat is the body of POST /v1/queen/heartbeat.
type Beat struct {
	WorkerID   string `json:"worker_id"`
	InstanceID string `json:"instance_id,omitempty"`
}

// Worker is one entry of GET /v1/queen/workers.
type Worker struct {
	WorkerID         string          `json:"worker_id"`
	InstanceID       string          `json:"instance_id,omitempty"`
	Hostname         string          `json:"hostname"`
	Port             int             `json:"port"`
	WorkerType       string          `json:"worker_type"`
	Model            string          `json:"model,omitempty"`
	Status           registry.Status `json:"status" enum:"registered,online,offline"`
	SpawnedBy        string          `json:"spawned_by,omitempty"`
	KnownFrom        []string        `json:"known_from" enum:"queen,registry" doc:"queen: registered here; registry: seen there."`
	RegisteredAt     time.Time       `json:"registered_at"`
	LastSeen         time.Time       `json:"last_seen,omitzero" doc:"By her clock: its last heartbeat to her, or to the registry, if that calls it offline. Now, while that calls it online: it does not tell of each heartbeat. Not there before the first sign of life."`
	Capabilities     map[string]any  `json:"capabilities,omitempty"`
	CapabilitiesFrom string          `json:"capabilities_from,omitempty" enum:"worker,spawner" doc:"Whose word they are."`
	Metadata         map[string]any  `json:"metadata,omitempty"`
}

// Hive is one entry of GET /v1/queen/hives.
type Hive struct {
	HiveID           string          `json:"hive_id"`
	InstanceID       string          `json:"instance_id,omitempty"`
	Hostname         string          `json:"hostname"`
	Port             int             `json:"port"`
	Status           registry.Status `json:"status" enum:"registered,online,offline"`
	RegisteredAt     time.Time       `json:"registered_at"`
	LastSeen         time.Time       `json:"last_seen,omitzero" doc:"As a worker's."`
	Capabilities     map[string]any  `json:"capabilities,omitempty"`
	CapabilitiesFrom string          `json:"capabilities_from,omitempty" enum:"hive,spawner"`
	Metadata         map[string]any  `json:"metadata,omitempty"`
}

// Job is the body of POST /v1/queen/spawn-worker.
type Job struct {
	hive.SpawnRequest
	HiveID string `json:"hive_id,omitempty" maxLength:"128" doc:"The hive to spawn it; chosen among all when empty."`
}

// The stable codes of the queen's own problems.
const (
	CodeNoHive      = "no_hive"      // no hive can do it now; the detail says of each why
	CodeUnknownHive = "unknown_hive" // none has that id
	CodeHiveFailed  = "hive_failed"  // it did not answer, or not as a hive does
	CodeNoParent    = "no_parent"    // the worker is none of a hive's
	CodeAmbiguous   = "ambiguous"    // several hives have a worker of that id
)

// Where the queen is by default, and how often she is beaten to.
const (
	DefaultURL        = "http://127.0.0.1:7833"
	DefaultPort       = 7833
	HeartbeatInterval = 2 * registry.HeartbeatInterval
)
