package hive

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

const (
	// maxArgs bounds the arguments for an engine.
	maxArgs = 100
	// maxJob bounds a job in bytes: Linux gives one argument of a command 128 KiB.
	maxJob = 100 << 10
)

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
	job.Operation = ulid.Make().String()
	op, err := h.admit(client.Operation{ID: job.Operation, HiveID: h.cfg.ID, Request: req, StartedAt: job.began()}, job)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		return err
	}
	h.log.Info("spawning", "operation", job.Operation, "type", job.Type, "model", job.Model, "engine", job.Engine, "by", r.RemoteAddr)
	return h.ops.Answer(w, r, op)
}

// admit begins an operation, unless too many run: whoever has heard of the end of one may
// begin another.
func (h *Hive) admit(begun client.Operation, job Job) (*operation.Running, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	starting := 0
	for _, op := range h.ops.List() {
		if op.Status == client.Running {
			starting++
		}
	}
	if starting >= h.cfg.MaxStarting {
		return nil, httpd.Errorf(http.StatusServiceUnavailable, client.CodeBusy,
			"as many workers are being started as may be at once, %d: try again when one is ready", starting)
	}
	op, err := h.ops.Begin(begun, func(ctx context.Context, op *operation.Running) { h.start(ctx, op, job) })
	if err != nil {
		return nil, httpd.Errorf(http.StatusServiceUnavailable, client.CodeBusy, "%v", err)
	}
	return op, nil
}

// job is what a request comes to: an engine that is installed, with a model that it can
// be given.
func (h *Hive) job(ctx context.Context, req client.SpawnRequest) (Job, error) {
	for field, value := range map[string]string{
		"worker_type": req.WorkerType, "engine": req.Engine, "model": req.Model, "device": req.Device,
	} {
		if registry.HasControl(value) {
			return Job{}, httpd.InvalidField(field, "%q has a control character in it", value)
		}
		limit := registry.MaxID
		if field == "model" {
			limit = registry.MaxModel
		}
		if len(value) > limit {
			return Job{}, httpd.InvalidField(field, "is %d bytes long, at most %d are taken", len(value), limit)
		}
	}
	switch longest := registry.WorkerID(req.WorkerType, 65535, h.cfg.Advertise); {
	case len(longest) > registry.MaxID:
		return Job{}, httpd.InvalidField("worker_type", "makes an id like %s of %d bytes, at most %d are taken", longest, len(longest), registry.MaxID)
	case req.Port < 0 || req.Port > 65535:
		return Job{}, httpd.InvalidField("port", "%d is no port: ports go from 1 to 65535", req.Port)
	case req.Device != "" && !devices.MatchString(req.Device):
		return Job{}, httpd.InvalidField("device", "%q is neither cpu nor a list of GPUs like 0,1", req.Device)
	case len(req.Args) > maxArgs:
		return Job{}, httpd.InvalidField("args", "are %d, at most %d are taken", len(req.Args), maxArgs)
	case slices.ContainsFunc(req.Args, func(arg string) bool { return strings.Contains(arg, "\x00") }):
		return Job{}, httpd.InvalidField("args", "hold a NUL, with which no program can be started")
	}
	if err := h.checkDevice(ctx, req.Device); err != nil {
		return Job{}, err
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
	job := Job{
		Type: req.WorkerType, Model: model, Engine: found.Name, Args: args, SpawnedBy: h.cfg.SpawnedBy,
		Request: req,
		Port:    cmp.Or(req.Port, port), Ports: h.cfg.Ports, Host: h.cfg.Host, Advertise: h.cfg.advertise(ctx),
		RegistryURL: h.cfg.RegistryURL, QueenURL: h.cfg.QueenURL, Files: h.cfg.Credentials,
		CacheDir: h.cfg.CacheDir, HeartbeatInterval: h.cfg.HeartbeatInterval,
		EngineFile: h.cfg.EngineFile, RuntimeDir: h.cfg.RuntimeDir, StateDir: h.cfg.StateDir,
	}
	if n := len(job.text()); n > maxJob {
		return Job{}, httpd.InvalidField("args", "make a command line of %d bytes, at most %d are taken", n, maxJob)
	}
	return job, nil
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
		m, err := h.inventory.FindModel(ctx, name)
		if err == nil && m.Error != "" {
			return "", refuse("the model %q: %s can't be read: %s", name, m.Path, m.Error)
		}
		if err == nil {
			_, err = found.ResolveModel(m.Path)
		}
		switch {
		case err == nil:
			return m.Path, nil
		case filepath.IsAbs(name), strings.HasPrefix(name, "~"), strings.HasPrefix(name, "."), strings.HasSuffix(strings.ToLower(name), ".gguf"):
			return "", refuse("%v", err) // no name of the engine's
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
