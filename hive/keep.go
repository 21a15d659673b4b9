package hive

import (
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// Launching turns a job, as it stands on the keeper's command line, into the launch that
// the keeper is for. What is the process's own (signals, log, role) is the caller's to
// fill in. The caller calls closer when the launch has ended.
func Launching(text string) (cfg launch.Config, closer func(), err error) {
	closer = func() {}
	j, err := parseJob(text)
	if err != nil {
		return cfg, closer, err
	}
	engine, err := j.engine()
	if err != nil {
		return cfg, closer, err
	}
	cfg = launch.Config{
		Type: j.Type, SpawnedBy: j.SpawnedBy, HeartbeatInterval: j.HeartbeatInterval,
		Port: j.Port, Ports: ports.Config{Range: j.Ports}, Host: j.Host, Advertise: j.Advertise,
		Restart:    supervisor.Restart{When: supervisor.OnFailure},
		RuntimeDir: j.RuntimeDir, LogDir: filepath.Join(j.StateDir, "logs"),
		OnOrphan: launch.KeepOrphan, Detached: true,
	}
	cfg = engine.Config(cfg)
	closer, err = j.register(&cfg)
	return cfg, closer, err
}

// engine finds what the hive has chosen.
func (j Job) engine() (*launch.Engine, error) {
	catalog, err := engines.Load(j.EngineFile)
	if err != nil {
		return nil, err
	}
	found, err := catalog.Choose(j.Type, j.Engine, launch.FindEngine)
	if err != nil {
		return nil, err
	}
	model, err := found.ResolveModel(j.Model)
	if err != nil {
		return nil, err
	}
	return &launch.Engine{Found: found, Model: model, Extra: j.Args, StateDir: j.StateDir}, nil
}

// register opens the clients of the registry and the queen.
func (j Job) register(cfg *launch.Config) (closer func(), err error) {
	closer = func() {}
	shown, err := j.Files.Read()
	if err != nil {
		return closer, err
	}
	if j.RegistryURL != "" {
		cfg.Registry, err = registry.NewClient(registry.Config{URL: j.RegistryURL, Token: shown.Token, TLS: shown.TLS, CacheDir: j.CacheDir})
		if err != nil {
			return closer, err
		}
		closer = cfg.Registry.Close
	}
	q := queen.Config{SpawnedBy: j.SpawnedBy, Token: shown.Token, TLS: shown.TLS}
	switch {
	case j.QueenURL != nil && *j.QueenURL == "":
		return closer, nil
	case j.QueenURL != nil:
		q.URL = *j.QueenURL
	case cfg.Registry != nil:
		q.Find = queen.Through(cfg.Registry)
	}
	if cfg.Queen, err = queen.New(q); err != nil {
		return closer, err
	}
	closeRegistry := closer
	return func() { cfg.Queen.Close(); closeRegistry() }, nil
}
