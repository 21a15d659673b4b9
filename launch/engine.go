package launch

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// Engine is a model server from a catalog with the model it is to serve. Program,
// Serves and Capabilities are what a Config takes of it.
type Engine struct {
	Found    engines.Found
	Model    engines.Model // from Found.ResolveModel
	Extra    []string      // the user's own arguments
	StateDir string        // where digests of big model files are remembered
	Log      *slog.Logger  // of the steps of loading; discarded when nil

	served atomic.Pointer[string]
}

// Config fills in what an engine decides of a launch.
func (e *Engine) Config(cfg Config) Config {
	cfg.Program, cfg.Serves, cfg.Capabilities = e.Program, e.Serves, e.Found.Capabilities
	cfg.Engine, cfg.Metrics = e.Found.Name, e.Found.Metrics
	cfg.Model, cfg.Alias = e.Model.Raw, e.Model.Alias
	if info, err := os.Stat(e.Model.Path); err == nil && info.Mode().IsRegular() {
		cfg.ModelBytes = info.Size()
	}
	return cfg
}

// Program starts the engine; it is ready once it has loaded the model.
func (e *Engine) Program(_ context.Context, at Target) (supervisor.Spec, error) {
	command, err := e.Found.Command(engines.Vars{
		Host: at.Host, Port: at.Port, Model: e.Model, WorkerID: at.ID, Extra: e.Extra,
	})
	if err != nil {
		return supervisor.Spec{}, err
	}
	argv0 := command.Path
	if own := e.Found.Programs[0].Run; isSelf(command.Path) {
		argv0 = own // run from this program's own file, under its name
	}
	p := e.Found.Profile
	spec := supervisor.Spec{
		Path: command.Path, Argv: append([]string{argv0}, command.Args...), Env: command.Environ(os.Environ()),
		Addr: at.Addr(), InUse: p.AddressInUse,
		StopSignal: syscall.Signal(p.Stop.Signal), SecondSignal: syscall.Signal(p.Stop.Second), Grace: p.Stop.Grace,
		GPU:  p.GPU,
		Live: probe(at, p.Live),
	}
	if p.Ready.Log != nil {
		spec.Ready = append(spec.Ready, supervisor.LogLine(p.Ready.Log))
	}
	if p.Ready.Path != "" {
		spec.Ready = append(spec.Ready, probe(at, p.Ready))
	}
	if p.Loading != "" {
		spec.Ready = append(spec.Ready, supervisor.Probe{
			Name:    "load " + e.Model.Raw,
			Timeout: -1, // a big model takes what it takes; a stall is noticed all the same
			Check:   func(ctx context.Context, _ supervisor.Child) error { return e.load(ctx, at) },
		})
	}
	return spec, nil
}

func isSelf(path string) bool {
	self, err := os.Executable()
	return err == nil && self == path
}

func (e *Engine) load(ctx context.Context, at Target) error {
	served, err := e.Found.Load(ctx, engines.LoadRequest{
		BaseURL: at.URL(), Model: e.Model, StateDir: e.StateDir, Log: e.Log,
	})
	var refused *engines.ModelError
	if errors.As(err, &refused) {
		return supervisor.Fatal(err)
	}
	if err == nil {
		e.served.Store(&served)
	}
	return err
}

// Serves is the model's name as the engine serves it.
func (e *Engine) Serves() string {
	if served := e.served.Load(); served != nil && *served != "" {
		return *served
	}
	return e.Model.Alias
}

func probe(at Target, p engines.Probe) supervisor.Probe {
	if p.Path == "" {
		return supervisor.Probe{}
	}
	asked := supervisor.HTTPStatus(at.URL()+p.Path, p.Status, p.Loading)
	asked.Timeout, asked.Period, asked.Failures = p.Timeout, p.Period, p.Failures
	return asked
}
