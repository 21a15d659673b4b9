package hive

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/credentials"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Config is a hive's configuration. Keeper and the two folders must be set.
type Config struct {
	ID        string // its component_id; the machine's name when empty
	SpawnedBy string // what its workers name as their parent; "hive-ID" when empty
	// Advertise is the host under which others reach it and its workers; registry.AdvertiseFor's
	// when empty, asked anew for each worker, since a network may come up after the hive.
	Advertise   string
	RegistryURL string  // "" is none
	QueenURL    *string // for the workers; nil: the one that the registry knows, else the default; "" is none
	// Credentials are what registries and queens on other machines are shown, and known by.
	// They are read anew by each keeper.
	Credentials       credentials.Files
	CacheDir          string        // where the registry's last answers outlive it, for it and its keepers; "" is nowhere
	HeartbeatInterval time.Duration // its own and its workers', to the registry; registry.HeartbeatInterval when zero

	// Keeper is the command that runs Keep with a job; see there.
	Keeper func(job string) Command
	// Everybody has it see and command all launches of this user, whoever is their parent.
	Everybody bool
	// RuntimeDir is where its workers are found again, StateDir where logs are and what is
	// remembered of models.
	RuntimeDir, StateDir string

	Ports      ports.Range // the workers'; ports.DefaultRange when zero
	Host       string      // the literal address that workers bind; see launch.Config
	EngineFile string      // the user's engine profiles; see engines.Load
	ModelDirs  []string    // where GGUF files are looked for; nowhere when empty
	// UsualModelDirs says that nobody has asked for ModelDirs: it is no matter for the log
	// that one does not exist.
	UsualModelDirs bool

	// StopWorkers has its workers end with it, for one that is part of something that leaves
	// nothing behind. They outlive it otherwise.
	StopWorkers bool

	MaxStarting int           // so many spawns run at once, more are refused with 503; 16 when zero
	Tend        time.Duration // between looks for workers without a keeper; 1 s when zero
	Sample      time.Duration // between looks at what workers use, of which 60 are kept; 5 s when zero
	Registering time.Duration // how long a spawn waits for a ready worker's registrations; 1 s when zero

	// ReadTime is how long a client may take to send a request's body; 30 s when zero.
	ReadTime time.Duration

	Access httpd.Access
	Log    *slog.Logger // silent when nil
}

// Command is a program as os/exec takes it: Argv[0] is what it is called.
type Command struct {
	Path string
	Argv []string
}

func (c Config) withDefaults() Config {
	if c.ID == "" {
		c.ID, _ = os.Hostname() // a machine without a name is called as everyone's own
		c.ID = cmp.Or(c.ID, "localhost")
	}
	c.SpawnedBy = cmp.Or(c.SpawnedBy, "hive-"+c.ID)
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, registry.HeartbeatInterval)
	c.Ports = cmp.Or(c.Ports, ports.DefaultRange())
	c.MaxStarting = cmp.Or(c.MaxStarting, 16)
	c.Tend = cmp.Or(c.Tend, time.Second)
	c.Sample = cmp.Or(c.Sample, 5*time.Second)
	c.Registering = cmp.Or(c.Registering, time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// advertise is the host under which others reach this machine now.
func (c Config) advertise(ctx context.Context) string {
	if c.Advertise != "" {
		return c.Advertise
	}
	return registry.AdvertiseFor(ctx, c.RegistryURL)
}

func (c Config) logDir() string { return filepath.Join(c.StateDir, "logs") }
