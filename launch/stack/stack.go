package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// OwnPorts is where the daemons of a stack get ports that are not their usual ones:
// below the ports that Linux gives outgoing connections (32768 and up), and out of
// the workers' range.
var OwnPorts = ports.Range{First: 20000, Last: 29999}

// Config is one stack. Worker.Program is the one field that must be set.
type Config struct {
	// Worker is the launch of the worker; its Registry and Queen are filled in, and
	// what it says of folders, heartbeats and restarts holds for the daemons, too.
	Worker launch.Config
	// RegistryPort and QueenPort are the daemons'; 0 takes any of OwnPorts.
	RegistryPort, QueenPort int
	// GUI adds the web page, at GUIPort, or any of OwnPorts where that is 0 or another's.
	GUI     bool
	GUIPort int
	// OnEvent is told what happens to each part, one event at a time.
	OnEvent func(launch.Event)
	// OnPulse and PulseEvery are those of launch.Config, for all parts together: it is
	// called once each of those that run has pulsed.
	OnPulse    func()
	PulseEvery time.Duration
	// OnLine is told what each part prints.
	OnLine func(id string, l supervisor.Line)
	Log    *slog.Logger // silent when nil
}

// Up says where the parts of a stack are.
type Up struct {
	Registry, Queen, Worker launch.Event // the Ready event of each
	GUI                     launch.Event // the same, where there is one
	Model                   string       // as the worker serves it
	Took                    time.Duration
	Guard                   *guard.Guard // for what is to end with the stack
}

// ErrStopped is in the NotUpError of a part that was stopped on somebody's command.
var ErrStopped = errors.New("it was stopped")

// NotUpError means that a part of the stack did not come up, or did not stay.
type NotUpError struct {
	Part string
	Err  error
}

func (e *NotUpError) Error() string { return fmt.Sprintf("%s: %v", e.Part, e.Err) }

func (e *NotUpError) Unwrap() error { return e.Err }

// Run brings the stack up, calls use, and takes the stack down when use returns. It
// returns use's error, or a *NotUpError. The context that use gets ends with ctx,
// and, with a *NotUpError as its cause, when a part has ended for good.
func Run(ctx context.Context, cfg Config, use func(context.Context, Up) error) error {
	g, err := guard.Start()
	if err != nil {
		return err
	}
	defer g.Close()
	s := &running{cfg: cfg, guard: g, began: time.Now()}
	defer s.down()
	ctx, s.lost = context.WithCancelCause(ctx)
	defer s.watchers.Wait()
	defer s.lost(nil)
	up, err := s.up(ctx)
	if err != nil {
		return err
	}
	return use(ctx, up)
}

// running is one Run.
type running struct {
	cfg      Config
	guard    *guard.Guard
	began    time.Time
	parts    []*part                 // in the order of their start; added to under events
	lost     context.CancelCauseFunc // ends the coming up, and the use, when a part is gone
	watchers sync.WaitGroup          // one for each part
	clients  []interface{ Close() }

	events sync.Mutex // OnEvent and OnPulse are called for one part at a time
}

// daemons are the parts that come before the worker: the registry and the queen.
const daemons = 2

// part is one launch of the stack.
type part struct {
	name  string
	stop  context.CancelFunc
	ready chan launch.Event // its Ready event, once it is known where it has to be
	done  chan struct{}
	err   error // once done

	stopped bool // on somebody's command, as far as it did not end by itself; once done
	pulsed  bool // since the stack did
}

func (p *part) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *part) gone() error {
	err := p.err
	switch {
	case err != nil:
	case p.stopped:
		err = ErrStopped
	default:
		err = errors.New("it ended by itself")
	}
	return &NotUpError{Part: p.name, Err: err}
}

func (s *running) up(ctx context.Context) (Up, error) {
	up := Up{Guard: s.guard}
	var err error
	if up.Registry, err = s.start(ctx, "rbee-registry", s.daemon("rbee-registry", s.cfg.RegistryPort), 0); err != nil {
		return up, err
	}
	beat := "--heartbeat-interval=" + cmp.Or(s.cfg.Worker.HeartbeatInterval, registry.HeartbeatInterval).String()
	if up.Queen, err = s.start(ctx, "queen-rbee", s.daemon("queen-rbee", s.cfg.QueenPort,
		// Said outright, since the environment may hold RBEE_ID for something else.
		"--id=queen", "--advertise=localhost", "--registry-url="+up.Registry.URL, beat), 0); err != nil {
		return up, err
	}
	worker := s.cfg.Worker
	reg, err := registry.NewClient(registry.Config{URL: up.Registry.URL})
	if err != nil {
		return up, err
	}
	s.clients = append(s.clients, reg)
	q, err := queen.New(queen.Config{URL: up.Queen.URL, SpawnedBy: worker.SpawnedBy})
	if err != nil {
		return up, err
	}
	s.clients = append(s.clients, q)
	worker.Registry, worker.Queen = reg, q
	up.Worker, err = s.start(ctx, "worker", worker, 2)
	up.Model, up.Took = worker.Model, time.Since(s.began)
	if worker.Serves != nil {
		up.Model = worker.Serves()
	}
	if err == nil && s.cfg.GUI {
		up.GUI, err = s.gui(ctx, up, beat)
		up.Took = time.Since(s.began)
	}
	return up, err
}

// gui starts the page. Its usual port is that of many another page, so that it makes do
// with another one.
func (s *running) gui(ctx context.Context, up Up, beat string) (launch.Event, error) {
	port, leases := s.cfg.GUIPort, ports.Config{Dir: s.cfg.Worker.Ports.Dir}
	if port != 0 {
		lease, err := ports.AcquirePort(ctx, leases, port)
		if err == nil {
			err = lease.Release() // the launch leases it again, at once
		}
		if err != nil {
			s.log().Info("the page gets another port than its usual one", "err", err)
			port = 0
		}
	}
	cfg := s.daemon("rbee-gui", port,
		"--id=gui", "--advertise=localhost", "--registry-url="+up.Registry.URL, "--queen-url="+up.Queen.URL,
		"--ports="+cmp.Or(s.cfg.Worker.Ports.Range, ports.DefaultRange()).String(), "--stop-workers", beat)
	// It stops the workers that it has spawned, each within its own grace period.
	cfg.Limits.Grace = cmp.Or(cfg.Limits.Grace, guiGrace)
	return s.start(ctx, "rbee-gui", cfg, 0)
}

func (s *running) log() *slog.Logger {
	if s.cfg.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.cfg.Log
}

// guiGrace is above the longest grace period of our engines, 30 s.
const guiGrace = 45 * time.Second

// daemon is the launch of one of rbee's own, which registers itself.
func (s *running) daemon(name string, port int, flags ...string) launch.Config {
	w := s.cfg.Worker
	id := name
	if port == 0 {
		// Ten stacks on one machine have ten registries.
		id = ""
	}
	return launch.Config{
		ID: id, Type: name, Engine: name, Private: true,
		Program: launch.Own(name, append([]string{"--listen={host}:{port}"}, flags...)...),
		Port:    port, Ports: ports.Config{Range: OwnPorts, Dir: w.Ports.Dir},
		Restart: w.Restart, Limits: w.Limits, LogDir: w.LogDir, RuntimeDir: w.RuntimeDir,
		Hurry: w.Hurry,
	}
}

// start launches a part and waits until it is ready and registered with as many as
// it is to be.
func (s *running) start(ctx context.Context, name string, cfg launch.Config, registrations int) (launch.Event, error) {
	// A part does not end with ctx but in its turn; see down.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	p := &part{name: name, stop: stop, ready: make(chan launch.Event, 1), done: make(chan struct{})}
	var ready launch.Event
	with := map[string]bool{}
	cfg.Guard, cfg.Log = s.guard, s.cfg.Log
	cfg.OnEvent = func(e launch.Event) {
		s.tell(e)
		switch e.Event {
		case launch.Ready:
			ready = e
		case launch.Registered:
			with[e.With] = true
		case launch.Stopped:
			p.stopped = true
		}
		if ready.Event != "" && len(with) >= registrations {
			select {
			case p.ready <- ready:
			default: // said already
			}
		}
	}
	if s.cfg.OnPulse != nil {
		cfg.OnPulse, cfg.PulseEvery = func() { s.pulse(p) }, s.cfg.PulseEvery
	}
	if s.cfg.OnLine != nil {
		cfg.OnLine = func(l supervisor.Line) { s.cfg.OnLine(name, l) }
	}
	s.add(p)
	go func() {
		p.err = launch.Run(inner, cfg)
		close(p.done)
	}()
	s.watchers.Go(func() {
		select {
		case <-p.done:
			s.lost(p.gone())
		case <-ctx.Done():
		}
	})
	select {
	case e := <-p.ready:
		return e, nil
	case <-p.done:
		return launch.Event{}, p.gone()
	case <-ctx.Done():
		return launch.Event{}, context.Cause(ctx)
	}
}

func (s *running) tell(e launch.Event) {
	if s.cfg.OnEvent != nil {
		s.events.Lock()
		defer s.events.Unlock()
		s.cfg.OnEvent(e)
	}
}

func (s *running) add(p *part) {
	s.events.Lock()
	defer s.events.Unlock()
	s.parts = append(s.parts, p)
}

// pulse notes a part's pulse, and makes one of those of all that run.
func (s *running) pulse(p *part) {
	s.events.Lock()
	defer s.events.Unlock()
	p.pulsed = true
	for _, other := range s.parts {
		if !other.pulsed && !other.ended() {
			return
		}
	}
	for _, other := range s.parts {
		other.pulsed = false
	}
	s.cfg.OnPulse()
}

// down ends the worker first, which can then still unregister with a queen and a
// registry that live. Those two end side by side: nobody asks the one for the other any
// more.
func (s *running) down() {
	first := min(len(s.parts), daemons)
	s.end(s.parts[first:])
	s.end(s.parts[:first])
	for _, c := range s.clients {
		c.Close()
	}
}

func (s *running) end(parts []*part) {
	for _, p := range parts {
		p.stop()
	}
	for _, p := range parts {
		<-p.done
	}
}
