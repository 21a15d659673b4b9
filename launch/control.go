package launch

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/unixsock"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// controlDrain is how long the last answers of a control socket may take.
const controlDrain = time.Second

// control is the launch's socket in the runtime directory.
type control struct {
	ln     *net.UnixListener
	served sync.WaitGroup
	stop   context.CancelFunc
}

// openControl takes commands at the record's socket, or at one that an earlier process
// of this launch had open.
func (l *launching) openControl(ctx context.Context, base string, inherited *os.File) (*control, error) {
	var ln *net.UnixListener
	var err error
	if inherited != nil {
		ln, err = unixsock.Inherit(inherited)
	} else {
		ln, err = unixsock.Listen(base + sockExt)
	}
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &control{ln: ln, stop: stop}
	c.served.Go(func() {
		err := httpd.Serve(ctx, ln, l.routes(), httpd.ServeOptions{Log: l.cfg.Log, Drain: controlDrain})
		if err != nil {
			l.cfg.Log.Warn("commands are no longer taken", "err", err)
		}
	})
	return c, nil
}

// file is a copy of the listener, which stays open when the control is closed; nil where
// there is none.
func (c *control) file() (*os.File, error) {
	if c == nil {
		return nil, nil
	}
	return c.ln.File()
}

func (c *control) close() {
	if c != nil {
		c.stop()
		c.served.Wait()
	}
}

// routes is the table of contents of the socket.
func (l *launching) routes() http.Handler {
	return httpd.Routes(l.cfg.Log, []httpd.Route{
		{Method: http.MethodGet, Path: "/v1/launch", Handler: l.inspect},
		{Method: http.MethodGet, Path: "/v1/launch/events", Handler: l.streamEvents},
		{Method: http.MethodPost, Path: "/v1/launch/stop", Handler: l.stopAsked},
		{Method: http.MethodPost, Path: "/v1/launch/restart", Handler: l.restartAsked},
		{Method: http.MethodPost, Path: "/v1/launch/upgrade", Handler: l.upgradeAsked},
	})
}

// Inspection is all there is to know of a launch.
type Inspection struct {
	Launch
	OnOrphan     OnOrphan `json:"on_orphan"`
	Command      []string `json:"command"` // the child's, of the present life
	Dir          string   `json:"dir,omitempty"`
	Log          string   `json:"log,omitempty"` // the file that its output is kept in
	GuardPID     int      `json:"guard_pid"`
	Version      string   `json:"version,omitempty"`      // of the launcher: Config.Version
	NotUpgraded  string   `json:"not_upgraded,omitempty"` // why: Config.NotUpgraded
	Processes    int      `json:"processes"`              // of the child's tree
	RSS          uint64   `json:"rss_bytes"`
	CPUMS        int64    `json:"cpu_ms"`
	Events       []Event  `json:"events"`                 // the last 200
	Capabilities any      `json:"capabilities,omitempty"` // as they were registered
}

func (l *launching) inspect(w http.ResponseWriter, r *http.Request) error {
	l.mu.Lock()
	i := Inspection{
		Launch: l.shown.Launch, OnOrphan: l.shown.OnOrphan, Log: l.shown.Log, GuardPID: l.shown.Guard.PID,
		Version: l.cfg.Version, NotUpgraded: l.cfg.NotUpgraded, Command: l.spawning.Argv, Dir: l.spawning.Dir, Capabilities: l.can,
	}
	g := l.guard
	l.mu.Unlock()
	if g != nil && i.PID != 0 {
		u := supervisor.UsageOf(r.Context(), g.Pids(i.PID))
		i.Processes, i.RSS, i.CPUMS = u.Processes, u.RSS, u.CPU.Milliseconds()
	}
	past, _, done := l.hub.listen(false)
	done()
	i.Events = past
	return httpd.WriteJSON(w, http.StatusOK, i)
}

// streamEvents writes one event a line: those there were, then each as it comes, until
// the launch ends.
func (l *launching) streamEvents(w http.ResponseWriter, r *http.Request) error {
	past, events, done := l.hub.listen(r.URL.Query().Get("output") == "true")
	defer done()
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	for _, e := range past {
		if err := enc.Encode(e); err != nil {
			return nil // the listener is gone
		}
	}
	if err := flush.Flush(); err != nil {
		return nil
	}
	for {
		select {
		case e, more := <-events:
			if !more || enc.Encode(e) != nil || flush.Flush() != nil {
				return nil
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

// StopOptions say how a launch is stopped.
type StopOptions struct {
	// Grace is at most the launch's own, which it is when nil; 0 is none. Of several stops
	// that are asked for the soonest counts.
	Grace *time.Duration `json:"grace_ns,omitempty"`
	// Hurry, when closed, ends the grace period; for Stop and StopOrphan.
	Hurry <-chan struct{} `json:"-"`
	// Registrars are where a launch is unregistered whose launcher is dead; for Stop and
	// StopOrphan. They stay the caller's.
	Registrars []registry.Registrar `json:"-"`
}

// hurry is a context that ends with Hurry and with ctx. The caller calls done.
func (o StopOptions) hurry(ctx context.Context) (hurry context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	var heeding sync.WaitGroup
	heeding.Go(func() {
		select {
		case <-o.Hurry:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(); heeding.Wait() }
}

func (l *launching) stopAsked(w http.ResponseWriter, r *http.Request) error {
	var o StopOptions
	if err := httpd.ReadJSON(w, r, &o, httpd.MaxBody); err != nil {
		return err
	}
	l.ask.stop(o)
	return httpd.WriteJSON(w, http.StatusAccepted, struct{}{})
}

func (l *launching) restartAsked(w http.ResponseWriter, _ *http.Request) error {
	select {
	case <-l.ask.stopping:
		return httpd.Errorf(http.StatusConflict, "stopping", "%s is being stopped", l.shownID())
	case <-l.ask.leave:
		return httpd.Errorf(http.StatusConflict, "upgrading", "the launcher of %s is being upgraded: ask again", l.shownID())
	default:
	}
	l.leaveRegistrars()
	select {
	case l.ask.again <- struct{}{}:
	default: // another has asked, and gets it for both
	}
	return httpd.WriteJSON(w, http.StatusAccepted, struct{}{})
}

type upgradeRequest struct {
	Path string `json:"path"` // of the program to go on with
}

func (l *launching) upgradeAsked(w http.ResponseWriter, r *http.Request) error {
	var u upgradeRequest
	if err := httpd.ReadJSON(w, r, &u, httpd.MaxBody); err != nil {
		return err
	}
	if !l.cfg.Replaceable {
		return httpd.Errorf(http.StatusConflict, "not_replaceable",
			"the launcher of %s, pid %d, does more than this launch: start it anew", l.shownID(), os.Getpid())
	}
	if r := l.recordNow(); !r.held() || !r.has(stateExt, 0) {
		return httpd.Errorf(http.StatusConflict, "not_recorded",
			"the record of %s is gone, by which another program would go on: ask again when ps shows it", l.shownID())
	}
	l.ask.handOver(u.Path)
	return httpd.WriteJSON(w, http.StatusAccepted, struct{}{})
}

func (l *launching) recordNow() *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record
}

func (l *launching) shownID() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown.ID
}

// asked is what others want of a launch.
type asked struct {
	again    chan struct{} // holds one restart that was asked for
	leave    chan struct{} // closed when the child is to be left to another program
	stopping chan struct{} // closed when the launch is to end
	hurry    chan struct{} // closed when at once

	mu    sync.Mutex
	grace *time.Timer // closes hurry
	until time.Time   // when it does
	path  string      // of the program that leave is for
}

func newAsked() *asked {
	return &asked{
		again: make(chan struct{}, 1), leave: make(chan struct{}),
		stopping: make(chan struct{}), hurry: make(chan struct{}),
	}
}

func (a *asked) stop(o StopOptions) {
	a.mu.Lock()
	defer a.mu.Unlock()
	closeOnce(a.stopping)
	switch {
	case o.Grace == nil:
	case *o.Grace <= 0:
		closeOnce(a.hurry)
	case a.grace == nil || time.Now().Add(*o.Grace).Before(a.until):
		if a.grace != nil {
			a.grace.Stop()
		}
		a.grace, a.until = time.AfterFunc(*o.Grace, a.hurryUp), time.Now().Add(*o.Grace)
	}
}

// within is a grace period that ends when whoever asked for the stop wants it to, so that
// the child is sent a second signal before then.
func (a *asked) within(own time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.grace == nil {
		return own
	}
	return min(own, max(1, time.Until(a.until)))
}

func (a *asked) hurryUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	closeOnce(a.hurry)
}

func (a *asked) handOver(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.path = path
	closeOnce(a.leave)
}

func (a *asked) successor() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.path
}

// closeOnce closes a channel that carries nothing; its owner's lock is held.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
