package hive

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/credentials"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/ports"
)

// Job is what a keeper is told: one worker. It holds no secrets, since it stands on the
// keeper's command line, where ps shows it.
type Job struct {
	Type      string   `json:"type"`
	Model     string   `json:"model,omitempty"` // a path, or a name that the engine knows
	Engine    string   `json:"engine"`
	Args      []string `json:"args,omitempty"`
	SpawnedBy string   `json:"spawned_by"`

	Operation string              `json:"operation"` // its id
	Request   client.SpawnRequest `json:"request"`   // that began the operation

	Port      int         `json:"port,omitempty"`
	Ports     ports.Range `json:"ports"`
	Host      string      `json:"host,omitempty"`
	Advertise string      `json:"advertise"`

	RegistryURL       string        `json:"registry_url,omitempty"`
	QueenURL          *string       `json:"queen_url,omitempty"`
	credentials.Files               // names alone
	CacheDir          string        `json:"cache_dir,omitempty"`
	HeartbeatInterval time.Duration `json:"heartbeat_interval"`

	EngineFile string `json:"engine_file,omitempty"`
	RuntimeDir string `json:"runtime_dir"`
	StateDir   string `json:"state_dir"`
}

func (j Job) text() string {
	text, err := json.Marshal(j)
	if err != nil {
		panic(err) // a defect of its type
	}
	return string(text)
}

// began is when the operation did, which its id says; zero for an id that does not.
func (j Job) began() time.Time {
	id, err := ulid.ParseStrict(j.Operation)
	if err != nil {
		return time.Time{}
	}
	return ulid.Time(id.Time()).UTC()
}

// parseJob reads what text wrote.
func parseJob(text string) (Job, error) {
	var j Job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return j, fmt.Errorf("read the job: %w", err)
	}
	return j, nil
}

// KeepCommand is the first argument of a keeper; the job is the second.
const KeepCommand = "keep"

// jobOf is the job that a launch was begun for, by what is kept with it.
func jobOf(kept json.RawMessage) (Job, error) {
	r, err := sidecar.ReadResume(kept)
	if err != nil {
		return Job{}, err
	}
	if len(r.Args) != 2 || r.Args[0] != KeepCommand {
		return Job{}, errors.New("the launch is none of a hive's")
	}
	return parseJob(r.Args[1])
}
