package launch_test

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

const (
	beat = 100 * time.Millisecond // the heartbeat's interval in these tests
	// patience is no measure of anything: it only ends a test that waits in vain.
	patience = 30 * time.Second
)

// testPorts are out of the way of people's launchers. Their leases are the
// machine's own, so that tests which run side by side get different ports.
var testPorts = ports.Config{Range: ports.Range{First: 18000, Last: 18999}}

// builtin is the built-in worker, run from the test binary.
func builtin(flags ...string) launch.Program {
	argv := append([]string{
		program.WorkerName, "--port={port}", "--host={host}", "--worker-id={id}",
		"--registry-url=", "--queen-url=", "--log-level=error",
	}, flags...)
	return self(launch.Command(argv, launch.Health{HTTP: "/health"}))
}

// self runs the test binary in place of the program that p names.
func self(p launch.Program) launch.Program {
	return func(ctx context.Context, at launch.Target) (supervisor.Spec, error) {
		spec, err := p(ctx, at)
		if err == nil {
			spec.Path, err = os.Executable()
		}
		return spec, err
	}
}

func executable(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// config is a launch of the built-in worker.
func config() launch.Config {
	return launch.Config{
		Program: builtin(), Model: "m", Ports: testPorts, HeartbeatInterval: beat,
		Limits: launch.Limits{ProbePeriod: 50 * time.Millisecond, ProbeTimeout: time.Second},
	}
}

// running is a launch whose events a test takes one by one.
type running struct {
	t      testing.TB
	events chan launch.Event
	lines  chan string
	stop   context.CancelFunc
	done   chan struct{}
	err    error // once done
}

// start launches, and stops at the test's end what the test did not.
func start(t testing.TB, cfg launch.Config) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{
		t: t, stop: stop, done: make(chan struct{}),
		events: make(chan launch.Event, 1000), lines: make(chan string, 1000),
	}
	cfg.OnEvent = func(e launch.Event) {
		if e.Event != launch.Progress {
			r.events <- e
		}
	}
	cfg.OnLine = func(l supervisor.Line) { r.lines <- l.Text }
	go func() {
		defer close(r.done)
		defer close(r.events)
		r.err = launch.Run(ctx, cfg)
	}()
	t.Cleanup(func() { stop(); <-r.done })
	return r
}

// await takes events until one of this kind comes; where with is given, until one
// that names it.
func (r *running) await(kind launch.EventType, with ...string) launch.Event {
	r.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e, ok := <-r.events:
			switch {
			case !ok:
				r.t.Fatalf("waiting for %q: the launch ended: %v", kind, r.wait())
			case e.Event == kind && (len(with) == 0 || slices.Contains(with, e.With)):
				return e
			case e.Event == launch.Failed:
				r.t.Fatalf("waiting for %q: it failed: %v", kind, e.Err)
			}
		case <-limit:
			r.t.Fatalf("waiting for %q: not within %s", kind, patience)
		}
	}
}

// wait is for the launch's end by itself.
func (r *running) wait() error {
	<-r.done
	return r.err
}

// end stops the launch and returns the events that were not taken yet.
func (r *running) end() []launch.EventType {
	r.t.Helper()
	r.stop()
	if err := r.wait(); err != nil {
		r.t.Errorf("a stopped launch returned %v", err)
	}
	var rest []launch.EventType
	for e := range r.events {
		rest = append(rest, e.Event)
	}
	return rest
}

// daemon is a server that can be stopped before its test ends.
type daemon struct {
	url  string
	stop func()
}

// serve runs a component at an address until it is stopped, or the test ends.
func serve(t testing.TB, addr string, run func(context.Context, net.Listener) error) daemon {
	t.Helper()
	ln, err := httpd.Listen(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // launches stop first
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, ln) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a server on %s ended: %v", ln.Addr(), err)
		}
	})
	t.Cleanup(stop)
	return daemon{url: "http://" + ln.Addr().String(), stop: stop}
}

func startRegistry(t testing.TB, addr string) daemon {
	return serve(t, addr, func(ctx context.Context, ln net.Listener) error {
		return server.Run(ctx, ln, server.Config{OnlineWindow: 6 * beat, RemoveAfter: time.Hour})
	})
}

func startQueen(t testing.TB, registryURL string) daemon {
	return serve(t, "127.0.0.1:0", func(ctx context.Context, ln net.Listener) error {
		return queen.New(queen.Config{RegistryURL: registryURL, PollInterval: beat, HeartbeatInterval: beat}).Run(ctx, ln)
	})
}

func registryClient(t testing.TB, url string) *registry.Client {
	t.Helper()
	c, err := registry.NewClient(registry.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func queenClient(t testing.TB, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// workers are those that the registry lists.
func workers(t testing.TB, c *registry.Client) []registry.Entry {
	t.Helper()
	answer, err := c.Workers(t.Context(), registry.Filter{})
	if err == nil && answer.Stale {
		err = answer.Cause
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer.Value
}

// onlyWorker is the one worker that the registry lists.
func onlyWorker(t testing.TB, c *registry.Client) registry.Entry {
	t.Helper()
	list := workers(t, c)
	if len(list) != 1 {
		t.Fatalf("the registry lists %d workers, want 1: %+v", len(list), list)
	}
	return list[0]
}

// eventually asks again and again, for what is told by no event, until the answer is
// yes.
func eventually(t testing.TB, what string, ask func() bool) {
	t.Helper()
	limit := time.After(patience)
	for !ask() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-limit:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// quietAddr is an address where nobody listens, and that is ours for the test.
func quietAddr(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(leasedPort(t)))
}

// leasedPort is a port that no other test gets before this one ends.
func leasedPort(t testing.TB) int {
	t.Helper()
	lease, err := ports.Acquire(t.Context(), testPorts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lease.Release(); err != nil {
			t.Error(err)
		}
	})
	return lease.Port()
}

func signalTo(t testing.TB, pid int, sig syscall.Signal) {
	t.Helper()
	if err := proctest.Signal(pid, sig); err != nil {
		t.Fatalf("send %v to pid %d: %v", sig, pid, err)
	}
}

func isGone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// startLauncher runs a launcher (see main_test.go) for a test to kill, and returns with
// its child's pid once that is ready.
func startLauncher(t *testing.T, args ...string) (cmd *exec.Cmd, child int) {
	t.Helper()
	cmd = exec.Command(executable(t), args...)
	cmd.Env = append(os.Environ(), roleVar+"=launcher")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the launcher did not say that its child is ready: %v", err)
	}
	if child, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return cmd, child
}

// empties waits until a folder is empty.
func empties(t testing.TB, dir string) {
	t.Helper()
	eventually(t, dir+" is empty", func() bool {
		files, err := os.ReadDir(dir)
		return len(files) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
	})
}

func mustBeEmpty(t testing.TB, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Errorf("%s was left in %s", f.Name(), dir)
	}
}
