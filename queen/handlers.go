package queen

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// registerWorker stores a worker; its capabilities are fetched afterwards, and
// it is online once it beats.
func (q *Queen) registerWorker(w http.ResponseWriter, r *http.Request) error {
	var reg client.Registration
	if err := httpd.ReadJSON(w, r, &reg, httpd.MaxBody); err != nil {
		return err
	}
	fresh := member{
		Component: registry.Component{
			Kind: registry.Worker, ID: reg.WorkerID, InstanceID: reg.InstanceID,
			Hostname: reg.Hostname, Port: reg.Port, WorkerType: reg.WorkerType, Model: reg.Model, Metadata: reg.Metadata,
		},
		spawnedBy: reg.SpawnedBy,
		given:     reg.Capabilities,
	}
	if err := check(fresh); err != nil {
		return err
	}
	receipt := client.Receipt{HeartbeatSeconds: (q.cfg.OfflineAfter / 3).Seconds()}
	if caller, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		fresh.Hostname = registry.Reachable(reg.Hostname, caller)
	}
	if fresh.Hostname != reg.Hostname {
		receipt.Note = fmt.Sprintf("others can't reach %q as %s: the address that this request came from, %s, is kept in its place",
			reg.WorkerID, reg.Hostname, fresh.Hostname)
	}
	stored, err := q.table.register(time.Now(), fresh)
	if err != nil {
		return err
	}
	q.log.Info("worker registered", "worker", reg.WorkerID, "instance", reg.InstanceID,
		"host", fresh.Hostname, "port", reg.Port, "spawned_by", reg.SpawnedBy)
	q.hurry()
	receipt.Worker = stored
	return httpd.WriteJSON(w, http.StatusOK, receipt)
}

// check holds a registration to the limits.
func check(m member) error {
	var field *registry.FieldError
	if err := m.Validate(); errors.As(err, &field) {
		name := field.Field
		if name == "component_id" {
			name = "worker_id" // as this request calls it
		}
		return httpd.InvalidField(name, "%s", field.Reason)
	}
	if len(m.spawnedBy) > registry.MaxID {
		return httpd.InvalidField("spawned_by", "is %d bytes long, at most %d are taken", len(m.spawnedBy), registry.MaxID)
	}
	return nil
}

// done is the answer to what has nothing else to say.
type done struct {
	Status string `json:"status" enum:"ok"`
}

func (q *Queen) heartbeat(w http.ResponseWriter, r *http.Request) error {
	var beat client.Beat
	if err := httpd.ReadJSON(w, r, &beat, httpd.MaxBody); err != nil {
		return err
	}
	if beat.WorkerID == "" {
		return httpd.InvalidField("worker_id", "is empty")
	}
	if err := q.table.heartbeat(time.Now(), beat.WorkerID, beat.InstanceID); err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, done{"ok"})
}

func (q *Queen) deleteWorker(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := q.table.dismiss(id, r.URL.Query().Get("instance_id")); err != nil {
		return err
	}
	q.log.Info("worker gone, as its spawner says", "worker", id)
	return httpd.WriteJSON(w, http.StatusOK, done{"ok"})
}

func (q *Queen) listWorkers(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, q.table.workers(time.Now()))
}

func (q *Queen) listHives(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, q.table.hives(time.Now()))
}

type health struct {
	Status   string `json:"status" enum:"ok"`
	Registry string `json:"registry" enum:"none,away,connected" doc:"How the registry is that she follows."`
}

// health is the queen's own: she lives without a registry, and says how it is.
func (q *Queen) health(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, health{"ok", q.following.Load().(string)})
}

type capabilities struct {
	Kind      registry.Kind `json:"component_type" enum:"queen"`
	ID        string        `json:"component_id"`
	Endpoints []string      `json:"endpoints"`
	Routing   bool          `json:"routing" doc:"Whether requests to models are passed on to workers."`
}

func (q *Queen) capabilities(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, capabilities{
		Kind: registry.Queen, ID: q.cfg.ID, Routing: true,
		Endpoints: []string{
			"/v1/queen/register-worker", "/v1/queen/heartbeat", "/v1/queen/workers", "/v1/queen/hives",
			"/v1/queen/spawn-worker", "/v1/queen/operations",
			"/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings",
		},
	})
}
