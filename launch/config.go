package launch

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// Config is one launch. Program is the one field that must be set.
type Config struct {
	// Program says what to start at the port that was leased.
	Program Program
	// ID names the launch, and the component it registers. When empty it is
	// "worker-{Type}-{port}", with "@{Advertise}" where others reach it from elsewhere;
	// without "worker-" for a private one.
	ID string
	// Type and Model are what a worker is and serves; Engine is what runs it.
	Type, Model, Engine string
	// Metrics is the path of the Engine's metrics for Prometheus, "" for none. Of a
	// program without an Engine nothing is said.
	Metrics string
	// Serves is the model's name as the ready child serves it, where that is not
	// Model; asked at each registration.
	Serves func() string
	// Alias is the name by which people know the model, "" for none other than that. It
	// is registered where the child serves the model under another.
	Alias string
	// ModelBytes is the size of the model's file: memory grows towards it while a model
	// is loaded. 0 is unknown.
	ModelBytes int64
	// Private keeps the child out of the registry and the queen: for a program that
	// registers itself, or that nobody is to find.
	Private bool
	// Capabilities asks a ready child what it can do, for a queen that can't ask it
	// herself. It has half a second; nil and errors leave them unknown.
	Capabilities func(ctx context.Context, url string) (map[string]any, error)

	// Ports is the range to lease from; Port, when not zero, is the one port to have.
	Ports ports.Config
	Port  int
	// Host is the literal address that the child is to bind, "127.0.0.1" when empty,
	// or "0.0.0.0" when Advertise is not this machine alone.
	Host string
	// Advertise is the host under which others reach the child; "localhost" when empty.
	Advertise string

	// Registry and Queen are where it registers; nil is none. They stay the caller's
	// to close.
	Registry *registry.Client
	Queen    *queen.Client
	// SpawnedBy is told to both, and shown by List: "gui", "hive-NAME".
	SpawnedBy string
	// HeartbeatInterval is the registry's; the queen is beaten to half as often. 15 s
	// when zero.
	HeartbeatInterval time.Duration

	// Restart is the policy for a child that ended after it had been ready.
	Restart supervisor.Restart
	// Limits replace what Program says, where they are not zero.
	Limits Limits
	// LogDir is where the child's output is kept, in ID.log; nowhere when empty. It is
	// made when missing.
	LogDir string
	// RuntimeDir is where List and Open find this launch; when empty nobody does.
	RuntimeDir string

	// OnOrphan says what becomes of the child when this process dies. To keep it needs a
	// RuntimeDir, and no shared Guard.
	OnOrphan OnOrphan
	// Resume is kept with the launch for whoever is to adopt its child: what one needs to
	// make this Config again. Orphans and ResumeOf have it. Only this user can read it.
	Resume json.RawMessage
	// Adopt takes over the kept child of ID in place of starting one: the same process,
	// port and instance. Where there is none, Run fails with a *NotOrphanedError.
	Adopt bool
	// Detached says that this process has nobody who watches it: List shows it, and a launch
	// that can't be recorded in RuntimeDir fails, since nobody could stop it.
	Detached bool
	// Replaceable lets Remote.Upgrade end Run with a *HandedOverError: this process does
	// nothing else than this launch. Control is from that error, in the next program.
	Replaceable bool
	Control     *os.File
	// Version is the launcher's, for Remote.Inspect alone.
	Version string
	// NotUpgraded is why the last Remote.Upgrade failed, of a launcher that goes on as it
	// was after a *HandedOverError; for Remote.Inspect alone.
	NotUpgraded string

	// OnEvent is told what happens, one event at a time. It must return soon.
	OnEvent func(Event)
	// OnLine is told each line that the child prints. It must return soon, too.
	OnLine func(supervisor.Line)
	// OnPulse and PulseEvery are those of supervisor.Config; OnPulse is called like
	// OnEvent, so that it does not come while that hangs.
	OnPulse    func()
	PulseEvery time.Duration
	// Hurry, when closed, ends farewells and the grace period of a stop at once.
	Hurry <-chan struct{}
	// Signals are passed on to the child while it runs, to it alone. None when nil.
	Signals <-chan os.Signal
	// Guard is shared among launches when set; it stays the caller's to close.
	Guard *guard.Guard
	Log   *slog.Logger // silent when nil
}

// Limits of a child's life; see supervisor.Spec and supervisor.Probe. Zero leaves what
// Program says; what is negative is off.
type Limits struct {
	Stall         time.Duration // negative: a start never fails by a stall
	Start         time.Duration // negative: nor by taking long
	Grace         time.Duration // negative: SIGKILL is sent at once
	ProbePeriod   time.Duration // negative: a ready child is not asked again
	ProbeTimeout  time.Duration // negative: an answer may take any time
	ProbeFailures int           // 3 when negative
	AnyOwner      bool
}

func (l Limits) apply(s supervisor.Spec) supervisor.Spec {
	s.Stall = cmp.Or(l.Stall, s.Stall)
	s.StartLimit = cmp.Or(l.Start, s.StartLimit)
	s.Grace = cmp.Or(l.Grace, s.Grace)
	s.Live.Period = cmp.Or(l.ProbePeriod, s.Live.Period)
	s.Live.Timeout = cmp.Or(l.ProbeTimeout, s.Live.Timeout)
	s.Live.Failures = cmp.Or(l.ProbeFailures, s.Live.Failures)
	s.AnyOwner = s.AnyOwner || l.AnyOwner
	return s
}

func (c Config) withDefaults() Config {
	c.Advertise = cmp.Or(c.Advertise, "localhost")
	if c.Host == "" {
		c.Host = registry.BindFor(c.Advertise)
	}
	c.Type = cmp.Or(c.Type, "llm")
	c.OnOrphan = cmp.Or(c.OnOrphan, KillOrphan)
	if c.RuntimeDir == "" || c.Guard != nil {
		c.OnOrphan = KillOrphan // there is nowhere to find it, or another launch beside it
	}
	c.HeartbeatInterval = cmp.Or(c.HeartbeatInterval, registry.HeartbeatInterval)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Registrars are Registry and Queen, those that there are.
func (c Config) Registrars() (all []registry.Registrar) {
	if c.Registry != nil {
		all = append(all, c.Registry)
	}
	if c.Queen != nil {
		all = append(all, c.Queen)
	}
	return all
}

func (c Config) id(port int) string {
	if c.ID != "" {
		return c.ID
	}
	if c.Private {
		return c.Type + "-" + strconv.Itoa(port)
	}
	return registry.WorkerID(c.Type, port, c.Advertise)
}

// Target is where one life of a child is to be.
type Target struct {
	ID         string
	InstanceID string
	Host       string // the literal address to bind
	Port       int
}

// Addr is the literal address at which this machine reaches the child. A probe of
// "localhost" could be answered by another server on ::1.
func (t Target) Addr() string {
	host := t.Host
	switch host {
	case "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, strconv.Itoa(t.Port))
}

// URL is Addr as an http URL.
func (t Target) URL() string { return "http://" + t.Addr() }
