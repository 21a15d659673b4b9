package main

import (
	"errors"
	"fmt"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/worker"
)

// engineFlags choose what runs a model.
type engineFlags struct {
	Type       string `help:"What kind of worker: llm, vllm, comfy (default: ${default})." default:"llm" placeholder:"TYPE"`
	Model      string `help:"The model: a file, or a name the engine knows." placeholder:"MODEL"`
	Engine     string `help:"The engine (default: the best one installed for the type); 'builtin' is a simulation that always works." placeholder:"NAME" complete:"engine"`
	EngineFile string `help:"Your own engine profiles (default: engines.yaml in the configuration folder)." placeholder:"FILE"`
}

// choose finds the engine and looks at the model, so that what can't work is refused
// before anything is started.
func (f engineFlags) choose(extra []string) (*launch.Engine, error) {
	catalog, err := engines.Load(f.EngineFile)
	if err != nil {
		return nil, cli.WithCode(cli.CodeUsage, err)
	}
	found, err := catalog.Choose(f.Type, f.Engine, launch.FindEngine)
	if err != nil {
		return nil, err
	}
	if f.Model == "" && found.Name == "builtin" {
		f.Model = worker.DefaultModel // it can pretend without being told what
	}
	model, err := found.ResolveModel(f.Model)
	if err != nil {
		return nil, cli.WithCode(cli.CodeUsage, err)
	}
	state, err := cli.StateDir()
	if err != nil {
		return nil, err
	}
	return &launch.Engine{Found: found, Model: model, Extra: extra, StateDir: state}, nil
}

type workerCmd struct {
	engineFlags
	ID    program.ID `help:"Its id (default: worker-TYPE-PORT)." placeholder:"ID"`
	Extra []string   `arg:"" optional:"" help:"Arguments for the engine itself, after '--'." placeholder:"ARGUMENT"`
	placeFlags
	knownFlags
	lifeFlags
	sidecarFlags
	outputFlags
}

// Validate is called by kong.
func (c *workerCmd) Validate() error { return errors.Join(c.placeFlags.check(), c.lifeFlags.check()) }

// Run launches the worker.
func (c *workerCmd) Run(call *cli.Call) error {
	engine, err := c.choose(c.Extra)
	if err != nil {
		return err
	}
	port, rest, err := engine.Found.PortArg(c.Extra)
	if err != nil {
		return cli.WithCode(cli.CodeUsage, err)
	}
	if port != 0 && c.Port != 0 && port != int(c.Port) {
		return cli.WithCode(cli.CodeUsage, fmt.Errorf("--port says %d, the engine's own arguments say %d", c.Port, port))
	}
	engine.Extra = rest
	cfg, closer, err := c.knownFlags.config(launch.Config{ID: string(c.ID), Type: c.Type})
	defer closer()
	if err != nil {
		return err
	}
	cfg = c.placeFlags.config(call.Context, c.RegistryURL, cfg)
	if port != 0 {
		cfg.Port = port
	}
	if cfg, err = c.lifeFlags.config(call, cfg); err != nil {
		return err
	}
	cfg = engine.Config(cfg)
	engine.Log = c.logger(call)
	return keep(call, c.sidecarFlags, c.outputFlags, cfg)
}
