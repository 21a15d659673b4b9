package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/ports"
)

// Spawning are the flags of whatever spawns workers on this machine.
type Spawning struct {
	Models      []string    `help:"A folder with models: GGUF files, also in folders below it (default: ${models})." placeholder:"DIR" sep:":" env:"RBEE_MODELS"`
	Ports       ports.Range `help:"The range that workers get a free port from (default: ${default})." default:"${ports}" placeholder:"FIRST-LAST"`
	Host        string      `help:"The literal address that workers bind (default: 127.0.0.1, or 0.0.0.0 with an --advertise of more than this machine)." placeholder:"ADDRESS"`
	EngineFile  string      `help:"Your own engine profiles (default: engines.yaml in the configuration folder)." placeholder:"FILE"`
	StopWorkers bool        `help:"Stop its workers when it ends, in place of leaving them."`
	MaxStarts   int         `help:"So many workers may be started at once (default: ${default})." default:"16" placeholder:"N"`
}

// Validate is called by kong.
func (s Spawning) Validate() error {
	if err := cli.CheckAddress("--host", s.Host); err != nil {
		return err
	}
	if s.MaxStarts < 1 {
		return fmt.Errorf("--max-starts: it takes 1 at least, not %d", s.MaxStarts)
	}
	return nil
}

// config is how it is done. Keepers run this same file, under a name of theirs.
func (s Spawning) config() (hive.Config, error) {
	runtimeDir, err := cli.RuntimeDir()
	if err != nil {
		return hive.Config{}, err
	}
	stateDir, err := cli.StateDir()
	if err != nil {
		return hive.Config{}, err
	}
	usual := len(s.Models) == 0
	if usual {
		s.Models = []string{modelDir()}
	}
	self, err := os.Executable() // under its name, should the file be replaced by another version
	if err != nil {
		return hive.Config{}, fmt.Errorf("find this program's own file: %w", err)
	}
	return hive.Config{
		RuntimeDir: runtimeDir, StateDir: stateDir, CacheDir: RegistryCache(),
		Ports: s.Ports, Host: s.Host, EngineFile: s.EngineFile, ModelDirs: s.Models, UsualModelDirs: usual, StopWorkers: s.StopWorkers, MaxStarting: s.MaxStarts,
		Keeper: func(job string) hive.Command {
			return hive.Command{Path: self, Argv: []string{KeeperName, hive.KeepCommand, job}}
		},
	}, nil
}

// Hive is rbee-hive's command line.
type Hive struct {
	Listen    string   `help:"Where to listen (default: ${default})." default:"0.0.0.0:7835" placeholder:"HOST:PORT"`
	ID        ID       `help:"Its id in the registry (default: the machine's name)." placeholder:"NAME"`
	Advertise cli.Host `help:"The host under which others reach it and its workers (default: localhost, or the address by which a registry on another machine is reached)." placeholder:"HOST"`
	QueenURL  *string  `name:"queen-url" help:"The queen, for its workers (default: the one the registry knows, else ${queen}); empty for none." placeholder:"URL"`
	Spawning
	RegistryURL
	Beats
	Access
	Trust
	cli.LogFlags
}

// Run serves until a signal ends it. Its workers go on.
func (h *Hive) Run(call *cli.Call) error {
	log := h.Logger(call.Stderr)
	cfg, err := h.config()
	if err != nil {
		return err
	}
	ln, access, err := h.open(call.Context, call, log, h.Listen, "--listen HOST:PORT")
	if err != nil {
		return err
	}
	log.Info("rbee-hive listens", "addr", ln.Addr())
	cfg.ID, cfg.Advertise, cfg.HeartbeatInterval = string(h.ID), string(h.Advertise), h.HeartbeatInterval
	cfg.RegistryURL, cfg.QueenURL = h.RegistryURL.RegistryURL, h.QueenURL
	cfg.Access, cfg.Log = access, log
	if h.Advertise == "" && httpd.IsLoopback(ln.Addr().String()) { // its workers are like it
		var hidden bool
		if cfg.Advertise, hidden = advertised(call.Context, log, "", ln, cfg.RegistryURL, "--listen HOST:PORT"); hidden {
			cfg.RegistryURL = ""
		}
	}
	// What is wrong with them is told now, and not with the first worker.
	if cfg.Credentials, _, err = h.read(h.TokenFile); err != nil {
		return errors.Join(err, ln.Close())
	}
	one, err := hive.New(cfg)
	if err != nil {
		return cli.WithCode(cli.CodeUsage, errors.Join(err, ln.Close()))
	}
	return serve(call.Context, log, ln, access, func(ctx context.Context) error { return one.Run(ctx, ln) })
}

// modelDir is where models are looked for unless the user says otherwise:
// $XDG_DATA_HOME/rbee/models, else ~/.local/share/rbee/models.
func modelDir() string {
	dir := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(dir) { // the specification says to ignore relative ones
		home, err := os.UserHomeDir()
		if err != nil {
			return "models"
		}
		dir = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(dir, "rbee", "models")
}

// keeper is the command line of a keeper, which hives start.
type keeper struct {
	Keep Keep `cmd:"" help:"Keep one worker."`
}

// Keep is what a keeper does.
type Keep struct {
	Job string `arg:"" help:"What to keep, in JSON." placeholder:"JOB"`
}

// Run keeps one worker until that ends.
func (k *Keep) Run(call *cli.Call) error {
	role, err := sidecar.TakeRole()
	if err != nil {
		return err
	}
	cfg, closer, err := hive.Launching(k.Job)
	defer closer()
	if err != nil {
		return err
	}
	cfg.Hurry, cfg.Version, cfg.Signals = call.Hurry, cli.Version(), call.PassOn()
	return sidecar.Run(call.Context, sidecar.Options{
		Role: role, Program: HiveName, Config: cfg,
		Logger: func(w io.Writer) *slog.Logger {
			return cli.LogFlags{LogLevel: "warn", LogFormat: "text"}.Logger(w)
		},
	})
}
