package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// placeFlags say where a child is.
type placeFlags struct {
	Port      cli.Port    `help:"The one port to have (default: a free one of --ports)." placeholder:"N" group:"where"`
	Ports     ports.Range `help:"The range to take a free port from (default: ${default})." default:"${ports}" placeholder:"FIRST-LAST" group:"where"`
	Host      string      `help:"The literal address it is to bind (default: 127.0.0.1, or 0.0.0.0 when others are to reach it)." placeholder:"ADDRESS" group:"where"`
	Advertise cli.Host    `help:"The host under which others reach it (default: localhost, or the address by which a registry on another machine is reached)." placeholder:"HOST" group:"where"`
}

func (f placeFlags) check() error {
	return cli.CheckAddress("--host", f.Host)
}

// checkPort takes 0 for no port.
func checkPort(flag string, port int) error {
	if port < 0 || port > 65535 {
		return fmt.Errorf("%s: %d is no port: ports go from 1 to 65535", flag, port)
	}
	return nil
}

// knownFlags say where it registers.
type knownFlags struct {
	RegistryURL       string        `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL" group:"known"`
	QueenURL          *string       `name:"queen-url" help:"The queen; empty for none (default: the one the registry knows, else ${queen})." placeholder:"URL" group:"known"`
	SpawnedBy         string        `help:"Whom to name as its parent." default:"rbee-launch" placeholder:"NAME" group:"known"`
	HeartbeatInterval time.Duration `help:"Between heartbeats to the registry; the queen gets half as many." default:"15s" group:"known"`
	credentialFlags   `embed:"" group:"known"`
}

// lifeFlags say how it is kept.
type lifeFlags struct {
	Restart       string         `help:"When to start it again: ${enum}." enum:"never,on-failure,always" default:"on-failure" group:"life"`
	Grace         *time.Duration `help:"Between the stop signal and SIGKILL; 0 kills at once (default: the engine's, else 10s)." group:"life"`
	StallTimeout  time.Duration  `help:"Give a start up that shows no sign of life for so long; 0 never does." default:"2m" group:"life"`
	StartTimeout  time.Duration  `help:"Give a start up that takes longer, whatever it shows; 0 never does." default:"1h" group:"life"`
	ProbeInterval *time.Duration `help:"Between health checks of a ready child; 0 makes none (default: the engine's, else 5s)." group:"life"`
	ProbeTimeout  *time.Duration `help:"How long a health check may take; 0 is any time (default: the engine's, else 2s)." group:"life"`
	ProbeFailures *int           `help:"So many failed health checks in a row make it unhealthy (default: the engine's, else 3)." placeholder:"N" group:"life"`
	AnyOwner      bool           `help:"Take an answer from its port even if the listener is not its own (a container engine's)." group:"life"`
}

func (f lifeFlags) check() error {
	if f.ProbeFailures != nil && *f.ProbeFailures < 1 {
		return fmt.Errorf("--probe-failures: it takes 1 at least, not %d; --probe-interval 0 makes no health checks", *f.ProbeFailures)
	}
	return nil
}

// given is a flag's duration as Limits take it: there, 0 is a flag that was not given,
// and off is below zero.
func given(flag *time.Duration) time.Duration {
	switch {
	case flag == nil:
		return 0
	case *flag == 0:
		return -1
	default:
		return *flag
	}
}

// outputFlags say what is shown.
type outputFlags struct {
	JSON     bool   `help:"Print events as JSON, one object per line." group:"output"`
	Quiet    bool   `short:"q" help:"Show neither progress nor the child's output." group:"output"`
	LogLevel string `help:"What the launcher says of its own doings, on stderr: ${enum}." enum:"debug,info,warn,error" default:"warn" group:"output"`
}

func (f outputFlags) logger(call *cli.Call) *slog.Logger { return f.loggerTo(call.Stderr) }

func (f outputFlags) loggerTo(w io.Writer) *slog.Logger {
	return cli.LogFlags{LogLevel: f.LogLevel, LogFormat: "text"}.Logger(w)
}

// config makes the part of a launch that every child has in common.
func (f lifeFlags) config(call *cli.Call, cfg launch.Config) (launch.Config, error) {
	runtimeDir, err := cli.RuntimeDir()
	if err != nil {
		return cfg, cli.WithCode(cli.CodeLaunchFailed, err)
	}
	logs, err := logDir()
	if err != nil {
		return cfg, cli.WithCode(cli.CodeLaunchFailed, err)
	}
	cfg.RuntimeDir, cfg.LogDir = runtimeDir, logs
	cfg.Restart = supervisor.Restart{When: supervisor.When(f.Restart)}
	cfg.Limits = launch.Limits{
		Stall: given(&f.StallTimeout), Start: given(&f.StartTimeout), Grace: given(f.Grace), AnyOwner: f.AnyOwner,
		ProbePeriod: given(f.ProbeInterval), ProbeTimeout: given(f.ProbeTimeout),
	}
	if f.ProbeFailures != nil {
		cfg.Limits.ProbeFailures = *f.ProbeFailures
	}
	cfg.Hurry = call.Hurry
	return cfg, nil
}

// config asks, if nobody has said it, under which host those who use the registry reach the child.
func (f placeFlags) config(ctx context.Context, registryURL string, cfg launch.Config) launch.Config {
	if f.Advertise == "" && !registry.Loopback(f.Host) {
		f.Advertise = cli.Host(registry.AdvertiseFor(ctx, registryURL))
	}
	cfg.Port, cfg.Ports.Range, cfg.Host, cfg.Advertise = int(f.Port), f.Ports, f.Host, string(f.Advertise)
	return cfg
}

// config opens the clients of the registry and the queen; the caller calls closer.
func (f knownFlags) config(cfg launch.Config) (_ launch.Config, closer func(), err error) {
	cfg.SpawnedBy, cfg.HeartbeatInterval = f.SpawnedBy, f.HeartbeatInterval
	closer = func() {}
	shown, err := f.read()
	if err != nil {
		return cfg, closer, err
	}
	if f.RegistryURL != "" {
		cfg.Registry, err = registry.NewClient(registry.Config{
			URL: f.RegistryURL, Token: shown.Token, TLS: shown.TLS, CacheDir: program.RegistryCache(),
		})
		if err != nil {
			return cfg, closer, cli.WithCode(cli.CodeUsage, err)
		}
		closer = cfg.Registry.Close
	}
	if f.QueenURL != nil && *f.QueenURL == "" {
		return cfg, closer, nil
	}
	q := queen.Config{SpawnedBy: f.SpawnedBy, Token: shown.Token, TLS: shown.TLS}
	switch {
	case f.QueenURL != nil:
		q.URL = *f.QueenURL
	case cfg.Registry != nil:
		q.Find = queen.Through(cfg.Registry)
	}
	cfg.Queen, err = queen.New(q)
	if err != nil {
		return cfg, closer, cli.WithCode(cli.CodeUsage, err)
	}
	closeRegistry := closer
	return cfg, func() { cfg.Queen.Close(); closeRegistry() }, nil
}

// foreground launches a child, shows what happens, and stays until it has ended.
func foreground(call *cli.Call, out outputFlags, o sidecar.Options) error {
	cfg := o.Config
	cfg.Log = out.logger(call)
	show := newShow(call, out, places(cfg))
	cfg.OnEvent, cfg.OnLine = show.event, show.line
	exitCode := inContainer(&cfg)
	service := newService(cfg.Log)
	defer service.close()
	o.Config = service.follow(cfg)
	err := sidecar.Launch(call.Context, o)
	show.close()
	return exitCode(err)
}

// places is how many registrations a launch waits for.
func places(cfg launch.Config) int {
	n := 0
	if cfg.Registry != nil && !cfg.Private {
		n++
	}
	if cfg.Queen != nil && !cfg.Private {
		n++
	}
	return n
}
