package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// maxArgs bounds the arguments for an engine.
const maxArgs = 100

// spawn begins an operation, after what can't work was refused.
func (h *Hive) spawn(w http.ResponseWriter, r *http.Request) error {
	var req client.SpawnRequest
	if err := httpd.ReadJSON(w, r, &req, httpd.MaxBody); err != nil {
		return err
	}
	req.WorkerType = cmp.Or(req.WorkerType, "llm")
	job, err := h.job(r.Context(), req)
	if err != nil {
		return err
	}
	if err := h.admit(); err != nil {
		w.Header().Set("Retry-After", "1")
		return err
	}
	job.Operation = ulid.Make().String()
	h.log.Info("spawning", "operation", job.Operation, "type", job.Type, "model", job.Model, "engine", job.Engine, "by", r.RemoteAddr)
	begun := client.Operation{ID: job.Operation, HiveID: h.cfg.ID, Request: req}
	op, err := h.ops.Begin(begun, func(ctx context.Context, op *operation.Running) {
		defer h.admitNext()
		h.start(ctx, op, job)
	})
	if err != nil {
		h.admitNext()
		return httpd.Errorf(http.StatusServiceUnavailable, client.CodeBusy, "%v", err)
	}
	return h.ops.Answer(w, r, op)
}

// admit takes a place among the spawns that run; admitNext gives it back.
func (h *Hive) admit() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.starting >= h.cfg.MaxStarting {
		return httpd.Errorf(http.StatusServiceUnavailable, client.CodeBusy,
			"%d workers are being started, which is the limit: try again when one is ready", h.starting)
	}
	h.starting++
	return nil
}

func (h *Hive) admitNext() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.starting--
}

// job is what a request comes to: an engine that is installed, with a model that it can
// be given.
func (h *Hive) job(ctx context.Context, req client.SpawnRequest) (Job, error) {
	for field, value := range map[string]string{"worker_type": req.WorkerType, "engine": req.Engine, "model": req.Model} {
		limit := registry.MaxID
		if field == "model" {
			limit = registry.MaxModel
		}
		if len(value) > limit {
			return Job{}, httpd.InvalidField(field, "is %d bytes long, at most %d are taken", len(value), limit)
		}
	}
	switch {
	case req.Port < 0 || req.Port > 65535:
		return Job{}, httpd.InvalidField("port", "%d is no port: ports go from 1 to 65535", req.Port)
	case len(req.Args) > maxArgs:
		return Job{}, httpd.InvalidField("args", "are %d, at most %d are taken", len(req.Args), maxArgs)
	}
	found, err := h.catalog.Choose(req.WorkerType, req.Engine, launch.FindEngine)
	if err != nil {
		return Job{}, refuseEngine(req, err)
	}
	model, err := h.model(ctx, found, req.Model)
	if err != nil {
		return Job{}, err
	}
	port, args, err := found.PortArg(req.Args)
	if err != nil {
		return Job{}, httpd.InvalidField("args", "%v", err)
	}
	if port != 0 && req.Port != 0 && port != req.Port {
		return Job{}, httpd.InvalidField("args", "ask for port %d, while port says %d", port, req.Port)
	}
	return Job{
		Type: req.WorkerType, Model: model, Engine: found.Name, Args: args, SpawnedBy: h.cfg.spawner(),
		Request: req,
		Port:    cmp.Or(req.Port, port), Ports: h.cfg.Ports, Host: h.cfg.Host, Advertise: h.cfg.advertise(ctx),
		RegistryURL: h.cfg.RegistryURL, QueenURL: h.cfg.QueenURL, TokenFile: h.cfg.TokenFile,
		HeartbeatInterval: h.cfg.HeartbeatInterval,
		EngineFile:        h.cfg.EngineFile, RuntimeDir: h.cfg.RuntimeDir, StateDir: h.cfg.StateDir,
	}, nil
}

func refuseEngine(req client.SpawnRequest, err error) error {
	p := httpd.Errorf(http.StatusUnprocessableEntity, client.CodeNoEngine, "%v", err)
	p.Field = "engine"
	var unknown *engines.UnknownError
	if req.Engine == "" || errors.As(err, &unknown) && unknown.What != "engine" {
		p.Field = "worker_type"
	}
	return p
}

// model is how the engine is told of the model: the path of one in our folders, else a
// name that is the engine's to know. A request does not reach any other file.
func (h *Hive) model(ctx context.Context, found engines.Found, name string) (string, error) {
	refuse := func(format string, args ...any) error {
		p := httpd.Errorf(http.StatusUnprocessableEntity, client.CodeNoModel, format, args...)
		p.Field = "model"
		return p
	}
	if name != "" {
		if m, err := h.inventory.FindModel(ctx, name); err == nil {
			if _, err := found.ResolveModel(m.Path); err == nil {
				return m.Path, nil
			}
		} else if filepath.IsAbs(name) || strings.HasPrefix(name, "~") || strings.HasPrefix(name, ".") ||
			strings.HasSuffix(strings.ToLower(name), ".gguf") {
			return "", refuse("%v", err)
		}
	}
	model, err := found.ResolveModel(name)
	switch {
	case err != nil:
		return "", refuse("%v", err)
	case model.Path != "":
		return "", refuse("model %q: a file outside this hive's model folders is not to be had by request", name)
	}
	return name, nil
}

// start runs one spawn: a keeper, until its worker is ready or has failed.
func (h *Hive) start(ctx context.Context, op *operation.Running, job Job) {
	program := h.cfg.Keeper(job.text())
	keeper, err := sidecar.Start(sidecar.Command{Path: program.Path, Argv: program.Argv, Env: supervisor.ChildEnv(nil)})
	if err != nil {
		h.failed(op, &client.Failure{Detail: err.Error()})
		return
	}
	defer keeper.Leave()
	s := h.newSpawning(op)
	cancelled := op.Cancelled()
	for {
		select {
		case m, more := <-keeper.Messages():
			switch {
			case !more:
				h.failed(op, s.failure("the worker's keeper died before the worker was ready"))
				return
			case m.End != nil:
				h.failed(op, s.failure(m.End.Text))
				return
			case m.Log != "":
				h.log.Info("a keeper says", "operation", job.Operation, "text", strings.TrimSpace(m.Log))
			case m.Event != nil:
				s.event(*m.Event)
			}
		case <-s.ready:
			h.succeeded(op, s.worker)
			return
		case <-cancelled:
			cancelled, s.cancelled = nil, true
			keeper.Stop()
		case <-ctx.Done():
			return // the next life of this hive finds it
		}
	}
}

// spawning is how far one spawn has come.
type spawning struct {
	hive      *Hive
	op        *operation.Running
	worker    string // its id, once it has one
	last      *client.Failure
	with      map[string]bool  // where it is registered
	ready     <-chan time.Time // ends the wait for that, once the worker is ready
	cancelled bool
}

func (h *Hive) newSpawning(op *operation.Running) *spawning {
	return &spawning{hive: h, op: op, with: map[string]bool{}}
}

// event takes over what the launch says.
func (s *spawning) event(e launch.Event) {
	text, err := json.Marshal(e)
	if err != nil {
		s.hive.log.Error("an event can't be told", "event", e.Event, "err", err)
		return
	}
	told := client.Event{Name: string(e.Event), Data: text}
	if e.Event == launch.Progress {
		s.op.Pass(told)
		return
	}
	s.op.Tell(told)
	switch e.Event {
	case launch.Leased:
		s.worker = e.ID
		s.op.Set(func(o *client.Operation) { o.WorkerID = e.ID })
	case launch.Ready:
		s.ready = time.After(s.hive.cfg.Registering)
	case launch.Registered:
		s.with[e.With] = true
	case launch.Exited, launch.Failed:
		s.last = &client.Failure{Detail: e.Error, ExitCode: e.ExitCode, LastLines: e.LastLines}
		s.ready = nil
	}
	if s.ready != nil && len(s.with) >= s.hive.places {
		now := make(chan time.Time, 1)
		now <- e.Time
		s.ready = now
	}
}

// failure is why there is no worker: what the launch said of it, else text.
func (s *spawning) failure(text string) *client.Failure {
	switch {
	case s.cancelled:
		return &client.Failure{Detail: "the operation was cancelled"}
	case s.last != nil && s.last.Detail != "":
		return s.last
	default:
		return &client.Failure{Detail: strings.TrimSpace(text)}
	}
}

func (h *Hive) failed(op *operation.Running, why *client.Failure) {
	op.End(func(o *client.Operation) { o.Error = why })
	h.counts.spawns.WithLabelValues(string(client.Failed)).Inc()
	h.log.Warn("no worker came of it", "operation", op.Operation().ID, "err", why.Detail)
}

func (h *Hive) succeeded(op *operation.Running, id string) {
	w, err := h.find(id)
	if err != nil {
		h.failed(op, &client.Failure{Detail: fmt.Sprintf("the worker was ready, and has ended since: %v", err)})
		return
	}
	op.End(func(o *client.Operation) { o.Worker = &w })
	h.counts.spawns.WithLabelValues(string(client.Succeeded)).Inc()
	h.log.Info("worker spawned", "operation", op.Operation().ID, "worker", id)
}
