package client

import (
	"encoding/json"
	"time"
)

// Where a hive is by default.
const (
	DefaultURL  = "http://127.0.0.1:7835"
	DefaultPort = 7835
)

// The stable codes of a hive's own problems.
const (
	CodeUnknownWorker    = "unknown_worker"
	CodeUnknownOperation = "unknown_operation"
	CodeNoEngine         = "no_engine"
	CodeNoModel          = "no_model"
	CodeBusy             = "busy"
	CodeNoKeeper         = "no_keeper" // nobody is there to command the worker
	CodeNotStopped       = "not_stopped"
)

// SpawnRequest is the body of POST /v1/hive/workers. It never names a program: what runs
// is what the hive's engine profiles say.
type SpawnRequest struct {
	WorkerType string   `json:"worker_type" required:"false" maxLength:"128" doc:"llm, vllm, comfy, ...; llm when empty."`
	Model      string   `json:"model" required:"false" maxLength:"1024" doc:"A model in the hive's folders, or a name that the engine knows."`
	Engine     string   `json:"engine,omitempty" maxLength:"128" doc:"One of the hive's engines; the first that is installed for the type when empty."`
	Port       int      `json:"port,omitempty" minimum:"0" maximum:"65535" doc:"The one port to have; a free one of the hive's range when 0."`
	Device     string   `json:"device,omitempty" maxLength:"128" doc:"cpu, or the indices or UUIDs of the GPUs that it may use, with commas; all when empty. One that the machine has not is refused. Where there is a GPU and nvidia-smi lists none (AMD's, say), it is passed on in CUDA_VISIBLE_DEVICES as it is."`
	Args       []string `json:"args,omitempty" doc:"For the engine itself, after all others."`
}

// WorkerProcess is one that a hive is the parent of, as its supervisor sees it.
type WorkerProcess struct {
	WorkerID   string    `json:"worker_id"`
	InstanceID string    `json:"instance_id"`
	HiveID     string    `json:"hive_id"`
	Hostname   string    `json:"hostname" doc:"The host under which others reach it."`
	Port       int       `json:"port"`
	WorkerType string    `json:"worker_type"`
	Model      string    `json:"model,omitempty"`
	Engine     string    `json:"engine"`
	Status     string    `json:"status" enum:"starting,ready,unhealthy,restarting,stopping,orphaned,exited"`
	PID        int       `json:"pid" doc:"0 while nothing runs, and from a queen who knows the worker, and does not reach its hive."`
	Restarts   int       `json:"restarts"`
	StartedAt  time.Time `json:"started_at" doc:"Of the present life."`
	Registry   bool      `json:"registry" doc:"Whether it is registered with the registry now."`
	Queen      bool      `json:"queen" doc:"The same of the queen."`
}

// Progress is how an operation stands.
type Progress string

// An operation runs, and ends in one of two ways.
const (
	Running   Progress = "running"
	Succeeded Progress = "succeeded"
	Failed    Progress = "failed"
)

// Operation is a spawn, from the request to the worker or the reason why there is none.
type Operation struct {
	ID         string         `json:"operation_id"`
	Status     Progress       `json:"status" enum:"running,succeeded,failed"`
	Phase      string         `json:"phase,omitempty" doc:"The event that came last."`
	HiveID     string         `json:"hive_id,omitempty"`
	Why        string         `json:"why,omitempty" doc:"A queen's: why she chose this hive."`
	Request    SpawnRequest   `json:"request"`
	WorkerID   string         `json:"worker_id,omitempty" doc:"Once it has a port. Ids come from ports: another worker may have it later."`
	InstanceID string         `json:"instance_id,omitempty" doc:"The life of that worker that the operation is about."`
	Worker     *WorkerProcess `json:"worker,omitempty" doc:"Once it has succeeded."`
	Error      *Failure       `json:"error,omitempty" doc:"Once it has failed."`
	StartedAt  time.Time      `json:"started_at"`
	EndedAt    time.Time      `json:"ended_at,omitzero" doc:"Once it has ended, where that is known: of an earlier life of this server it may not be."`
	EventsURL  string         `json:"events_url" doc:"Where its events are, on this server."`
}

// Failure is why an operation has failed.
type Failure struct {
	Detail    string   `json:"detail"`
	Stopped   bool     `json:"stopped,omitempty" doc:"Somebody wanted it: the start was cancelled, or the worker stopped before it was ready."`
	ExitCode  *int     `json:"exit_code,omitempty" doc:"As a shell gives it, where the engine has ended."`
	LastLines []string `json:"last_lines,omitempty" doc:"Of the engine's output."`
}

// Event is one event of an operation: what rbee-launch --json prints, and twice a second
// a "progress", while the engine starts, which is for people.
type Event struct {
	Seq  int             `json:"-"` // its place among the operation's events; 0 for what is not kept
	Name string          `json:"event"`
	Data json.RawMessage `json:"-"` // all of it
}

// Sample is what a worker, with everything that it has started, used at a moment.
type Sample struct {
	Time      time.Time `json:"time"`
	RSSBytes  uint64    `json:"rss_bytes" doc:"Resident memory."`
	CPUMS     int64     `json:"cpu_ms" doc:"Processor time in all, of the processes that live."`
	Processes int       `json:"processes"`
}
