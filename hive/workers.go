package hive

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// workers are the launches whose parent is this hive, by id, as the runtime directory has
// them. A record that can't be read is logged, and hides no other.
func (h *Hive) workers() ([]client.WorkerProcess, error) {
	own, err := h.launches()
	list := make([]client.WorkerProcess, 0, len(own)) // an empty list is [] in JSON, not null
	for _, l := range own {
		list = append(list, h.worker(l))
	}
	return list, err
}

func (h *Hive) launches() ([]launch.Launch, error) {
	all, err := launch.List(h.cfg.RuntimeDir)
	if all == nil {
		return nil, err
	}
	if err != nil {
		h.log.Warn("a launch can't be read", "err", err)
	}
	var own []launch.Launch
	for _, l := range all {
		if h.cfg.Everybody || l.SpawnedBy == h.cfg.SpawnedBy {
			own = append(own, l)
		}
	}
	return own, nil
}

func (h *Hive) worker(l launch.Launch) client.WorkerProcess {
	_, host, _ := strings.Cut(l.ID, "@") // what it advertises, unless that is this machine alone
	return client.WorkerProcess{
		WorkerID: l.ID, InstanceID: l.InstanceID, HiveID: h.cfg.ID, Hostname: cmp.Or(host, "localhost"), Port: l.Port,
		WorkerType: l.Type, Model: l.Model, Engine: l.Engine, Status: string(l.Status), PID: l.PID,
		Restarts: l.Restarts, StartedAt: l.StartedAt.UTC(), Registry: l.Registry, Queen: l.Queen,
	}
}

// find is one of its workers. It fails with a 404.
func (h *Hive) find(id string) (client.WorkerProcess, error) {
	list, err := h.workers()
	if err != nil {
		return client.WorkerProcess{}, err
	}
	for _, w := range list {
		if w.WorkerID == id {
			return w, nil
		}
	}
	if h.cfg.Everybody {
		return client.WorkerProcess{}, httpd.Errorf(http.StatusNotFound, client.CodeUnknownWorker, "no worker %q runs on this machine", id)
	}
	return client.WorkerProcess{}, httpd.Errorf(http.StatusNotFound, client.CodeUnknownWorker,
		"hive %s is the parent of no worker %q: GET /v1/hive/workers lists those it has", h.cfg.ID, id)
}

func (h *Hive) listWorkers(w http.ResponseWriter, _ *http.Request) error {
	list, err := h.workers()
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, list)
}

func (h *Hive) getWorker(w http.ResponseWriter, r *http.Request) error {
	found, err := h.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, found)
}

// stopped is the answer to a stop.
type stopped struct {
	WorkerID string             `json:"worker_id"`
	Status   string             `json:"status" enum:"stopped"`
	Stop     *launch.StopReport `json:"stop,omitempty" doc:"What it took, where that was anything."`
}

// stopWorker answers when nothing of the worker is left, or when the stop has failed: how
// long that may take is launch.Stop's. A client that hangs up changes nothing about that.
func (h *Hive) stopWorker(w http.ResponseWriter, r *http.Request) error {
	var o launch.StopOptions
	if text := r.URL.Query().Get("grace"); text != "" {
		grace, err := time.ParseDuration(text)
		if err != nil || grace < 0 {
			return httpd.InvalidField("grace", "%q is no duration like 10s", text)
		}
		o.Grace = &grace
	}
	found, err := h.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	h.log.Info("stopping a worker", "worker", found.WorkerID, "by", r.RemoteAddr)
	answer := stopped{WorkerID: found.WorkerID, Status: "stopped"}
	known, closer := h.registrars()
	defer closer()
	o.Registrars = known
	ctx := context.WithoutCancel(r.Context())
	err = launch.Stop(ctx, h.cfg.RuntimeDir, found.WorkerID, o, func(e launch.Event) {
		if e.Event == launch.Stopped {
			answer.Stop = e.Stop
		}
	})
	if err != nil && !errors.Is(err, launch.ErrNotThere) { // it was there when we looked
		h.log.Error("a worker did not stop", "worker", found.WorkerID, "err", err)
		return httpd.Errorf(http.StatusInternalServerError, client.CodeNotStopped, "%v", err)
	}
	h.log.Info("worker stopped", "worker", found.WorkerID)
	return httpd.WriteJSON(w, http.StatusOK, answer)
}

// registrars are where a stop unregisters a worker whose keeper can't. The caller calls
// closer when it has stopped.
func (h *Hive) registrars() (all []registry.Registrar, closer func()) {
	var known launch.Config
	job := Job{RegistryURL: h.cfg.RegistryURL, QueenURL: h.cfg.QueenURL, Files: h.cfg.Credentials, CacheDir: h.cfg.CacheDir, SpawnedBy: h.cfg.SpawnedBy}
	closer, err := job.register(&known)
	if err != nil {
		h.log.Warn("workers without a keeper would not be unregistered", "err", err)
	}
	return known.Registrars(), closer
}

// stopAll stops the workers that it is the parent of, side by side.
func (h *Hive) stopAll(ctx context.Context) {
	own, err := h.launches()
	if err != nil {
		h.log.Error("the workers can't be found, and stay", "err", err)
	}
	known, closer := h.registrars()
	defer closer()
	var stopping sync.WaitGroup
	for _, l := range own {
		if l.SpawnedBy != h.cfg.SpawnedBy {
			continue // somebody else's, though we may see it
		}
		stopping.Go(func() {
			err := launch.Stop(ctx, h.cfg.RuntimeDir, l.ID, launch.StopOptions{Registrars: known}, nil)
			if err != nil && !errors.Is(err, launch.ErrNotThere) {
				h.log.Error("a worker did not stop", "worker", l.ID, "err", err)
			}
		})
	}
	stopping.Wait()
}

// restartWorker has a worker's process stopped and started again, and does not wait for
// that: its log and the lists tell.
func (h *Hive) restartWorker(w http.ResponseWriter, r *http.Request) error {
	found, err := h.find(r.PathValue("id"))
	if err != nil {
		return err
	}
	to, err := launch.Open(h.cfg.RuntimeDir, found.WorkerID)
	if err != nil {
		return httpd.Errorf(http.StatusConflict, client.CodeNoKeeper, "%v", err)
	}
	defer to.Close()
	h.log.Info("restarting a worker", "worker", found.WorkerID, "by", r.RemoteAddr)
	if err := to.Restart(r.Context()); err != nil {
		return httpd.Errorf(http.StatusConflict, client.CodeNoKeeper, "%v", err)
	}
	return httpd.WriteJSON(w, http.StatusOK, found)
}
