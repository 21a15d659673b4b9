package supervisor_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

const (
	serveEnv = "SUPERVISOR_TEST_SERVE"
	logEnv   = "SUPERVISOR_TEST_LOG"
)

func TestMain(m *testing.M) {
	guard.Main()
	if addr := os.Getenv(serveEnv); addr != "" {
		serve(addr)
	}
	if how := os.Getenv(sayEnv); how != "" {
		sayer(how)
	}
	os.Exit(m.Run())
}

// serve is a small server: /health answers 200, or 503 as long as a file "loading"
// is in its folder.
func serve(addr string) {
	if os.Getenv(logEnv) != "" {
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			fmt.Println(time.Now().Format(time.RFC3339), rand.Text(), r.RemoteAddr, "GET", r.URL.Path)
			http.NotFound(w, r)
		})
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := os.Stat("loading"); err == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(addr, nil))
	os.Exit(1)
}

// freeAddr is an address nobody listens on; the kernel gives ephemeral ports out in
// turn, so it stays free long enough.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func server(addr, dir string) supervisor.Spec {
	return supervisor.Spec{
		Argv: []string{os.Args[0]}, Env: append(os.Environ(), serveEnv+"="+addr), Dir: dir, Addr: addr,
		Ready: []supervisor.Probe{supervisor.HTTP("http://" + addr + "/health")},
	}
}

// logged is server, of the kind that logs each request, with its time and an id.
func logged(addr, dir string) supervisor.Spec {
	spec := server(addr, dir)
	spec.Env = append(spec.Env, logEnv+"=1")
	return spec
}

func script(text string) supervisor.Spec {
	return supervisor.Spec{Argv: []string{"/bin/sh", "-c", text}}
}

// run is a supervised child whose events a test takes one by one.
type run struct {
	t      *testing.T
	events chan supervisor.Event
	err    chan error
	stop   context.CancelFunc

	mu    sync.Mutex
	lines []string
}

func start(t *testing.T, cfg supervisor.Config, specs ...supervisor.Spec) *run {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &run{t: t, events: make(chan supervisor.Event, 1000), err: make(chan error, 1), stop: stop}
	if cfg.Spec == nil {
		calls := 0
		cfg.Spec = func(context.Context, supervisor.Attempt) (supervisor.Spec, error) {
			calls++
			return specs[min(calls, len(specs))-1], nil
		}
	}
	cfg.OnEvent = func(e supervisor.Event) { r.events <- e }
	cfg.OnLine = func(l supervisor.Line) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, l.Text)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.err <- supervisor.Run(ctx, cfg)
		close(r.events)
	}()
	t.Cleanup(func() { stop(); <-done })
	return r
}

// want takes events up to the one wanted; another final one is an error.
func (r *run) want(wanted supervisor.EventType) supervisor.Event {
	r.t.Helper()
	var seen []supervisor.EventType
	for e := range r.events {
		if e.Type == wanted {
			return e
		}
		seen = append(seen, e.Type)
		if e.Type == supervisor.Failed || e.Type == supervisor.Stopped {
			r.t.Fatalf("%s instead of %s: %v", e.Type, wanted, e.Err)
		}
	}
	r.t.Fatalf("no %s, only %v: %v", wanted, seen, <-r.err)
	return supervisor.Event{}
}

func wantErr[E error](t *testing.T, r *run) E {
	t.Helper()
	var e E
	if err := <-r.err; !errors.As(err, &e) {
		t.Fatalf("got %T %v, want a %T", err, err, e)
	}
	return e
}

func TestReadyAndStop(t *testing.T) {
	dir := t.TempDir()
	loading := filepath.Join(dir, "loading")
	if err := os.WriteFile(loading, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, supervisor.Config{}, server(freeAddr(t), dir))
	pid := r.want(supervisor.Spawned).PID
	if seen := r.want(supervisor.Progress).Seen; !strings.Contains(seen.Waiting, "503") {
		t.Errorf("while it loads, %q is said", seen.Waiting)
	}
	if err := os.Remove(loading); err != nil {
		t.Fatal(err)
	}
	if got := r.want(supervisor.Ready).PID; got != pid {
		t.Errorf("ready is pid %d, spawned was %d", got, pid)
	}
	r.stop()
	r.want(supervisor.Stopping)
	r.want(supervisor.Stopped)
	if err := <-r.err; err != nil {
		t.Error(err)
	}
}

func TestExitsBeforeReady(t *testing.T) {
	spec := script(`echo one; echo two >&2; exit 3`)
	spec.Ready = []supervisor.Probe{supervisor.TCP(freeAddr(t))}
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.Always}}, spec)
	e := wantErr[*supervisor.ExitError](t, r)
	if e.Exit.Code != 3 || !e.Early || len(e.Last) != 2 {
		t.Errorf("got %v, early %v, last lines %q", e, e.Early, e.Last)
	}
}

func TestProgramMissing(t *testing.T) {
	r := start(t, supervisor.Config{}, supervisor.Spec{Argv: []string{"no-such-program-anywhere"}})
	if err := <-r.err; !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
}

func TestStall(t *testing.T) {
	spec := script(`echo "last words"; exec sleep 1000`)
	spec.Ready = []supervisor.Probe{supervisor.TCP(freeAddr(t))}
	spec.Stall = 600 * time.Millisecond
	e := wantErr[*supervisor.NotReadyError](t, start(t, supervisor.Config{}, spec))
	if !e.Stalled || e.Seen.LastLine != "last words" || !strings.Contains(e.Error(), "refused") {
		t.Errorf("got %v, %+v", e, e.Seen)
	}
}

// Lines that are but the echo of our own questions bring neither more questions nor
// signs of life.
func TestServerThatLogsItsProbes(t *testing.T) {
	addr := freeAddr(t)
	spec := logged(addr, t.TempDir())
	spec.Ready = []supervisor.Probe{supervisor.HTTP("http://" + addr + "/nosuch")}
	spec.Stall, spec.StartLimit = 2*time.Second, time.Minute
	r := start(t, supervisor.Config{}, spec)
	if e := wantErr[*supervisor.NotReadyError](t, r); !e.Stalled {
		t.Error("not a stall:", e)
	} else if most := 40 + 6*int(e.Seen.Elapsed.Seconds()); len(r.lines) < 5 || len(r.lines) > most {
		// Without its lines it is asked 18 times until the pause is 250 ms.
		t.Errorf("asked %d times in %s, want %d at most", len(r.lines), e.Seen.Elapsed, most)
	}
}

func TestLoadingIsNoStall(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "loading"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := server(freeAddr(t), dir)
	spec.Stall = 1200 * time.Millisecond
	spec.StartLimit = 3 * time.Second
	if e := wantErr[*supervisor.NotReadyError](t, start(t, supervisor.Config{}, spec)); e.Stalled {
		t.Errorf("an answer 503 was not taken for a sign of life: %v", e)
	}
}

func TestStrangerOnThePort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stranger := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = stranger.Serve(ln) }()
	defer stranger.Close()

	// One that waits in silence, so that the stranger answers its probe.
	silent := script(`exec sleep 1000`)
	silent.Addr = ln.Addr().String()
	silent.Ready = []supervisor.Probe{supervisor.TCP(silent.Addr)}
	// One that gives up, as most do.
	gives := server(ln.Addr().String(), t.TempDir())

	for _, taken := range []supervisor.Spec{silent, gives} {
		var last error
		cfg := supervisor.Config{Spec: func(_ context.Context, a supervisor.Attempt) (supervisor.Spec, error) {
			if a.Life != 1 {
				t.Errorf("a taken port was counted as a life: %d", a.Life)
			}
			if last = a.Last; last == nil {
				return taken, nil
			}
			return server(freeAddr(t), t.TempDir()), nil
		}}
		r := start(t, cfg)
		r.want(supervisor.Ready)
		r.stop()
		if err := <-r.err; err != nil {
			t.Error(err)
		}
		var port *supervisor.PortTakenError
		if !errors.As(last, &port) || !strings.Contains(port.Holder, fmt.Sprint(os.Getpid())) {
			t.Errorf("the second Spec was asked for because of %v", last)
		}
	}
}

// The same port of another address is another's to have.
func TestStrangerOnAnotherAddress(t *testing.T) {
	addr := freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
	if err != nil {
		t.Skip("this system has one loopback address:", err)
	}
	defer ln.Close()
	r := start(t, supervisor.Config{Spec: func(_ context.Context, a supervisor.Attempt) (supervisor.Spec, error) {
		return server(addr, t.TempDir()), a.Last
	}})
	r.want(supervisor.Ready)
}

func TestReadyByLogLine(t *testing.T) {
	listening := supervisor.LogLine(regexp.MustCompile(`^listening`))
	first := script(`echo listening; sleep 0.2; exit 1`)
	second := script(`exec sleep 1000`) // never says so in its own life
	first.Ready, second.Ready = []supervisor.Probe{listening}, []supervisor.Probe{listening}
	second.Stall = 500 * time.Millisecond
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.OnFailure}}, first, second)
	r.want(supervisor.Ready)
	r.want(supervisor.Restarting)
	if e := r.want(supervisor.Exited); e.Err == nil {
		t.Error("the second life was ready by a line of the first")
	}
}

func TestRestart(t *testing.T) {
	policy := supervisor.Restart{When: supervisor.OnFailure, Initial: time.Millisecond}
	r := start(t, supervisor.Config{Restart: policy}, server(freeAddr(t), t.TempDir()))
	pid := r.want(supervisor.Ready).PID
	for life := 2; life <= 4; life++ {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if e := r.want(supervisor.Exited); e.Exit.Signal != syscall.SIGKILL {
			t.Errorf("exited by %v", e.Exit)
		}
		e := r.want(supervisor.Ready)
		if e.Life != life || e.PID == pid {
			t.Errorf("life %d, pid %d after %d", e.Life, e.PID, pid)
		}
		pid = e.PID
	}
}

// A life that never got ready again has failed, whatever its exit code is once it is
// told to stop.
func TestStalledRestartIsAFailure(t *testing.T) {
	first := server(freeAddr(t), t.TempDir())
	second := script(`trap "exit 0" TERM; while :; do sleep 0.01; done`)
	second.Ready = []supervisor.Probe{supervisor.TCP(freeAddr(t))}
	second.StartLimit = 600 * time.Millisecond
	third := server(freeAddr(t), t.TempDir())
	policy := supervisor.Restart{When: supervisor.OnFailure, Initial: time.Millisecond}
	r := start(t, supervisor.Config{Restart: policy}, first, second, third)
	if err := syscall.Kill(r.want(supervisor.Ready).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.want(supervisor.Restarting)
	e := r.want(supervisor.Exited)
	var late *supervisor.NotReadyError
	if !errors.As(e.Err, &late) || e.Exit.Code != 0 {
		t.Fatalf("the second life ended with %v, %v", e.Exit, e.Err)
	}
	r.want(supervisor.Ready)
}

func TestCleanExitIsNoFailure(t *testing.T) {
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.OnFailure}}, script("exit 0"))
	if err := <-r.err; err != nil {
		t.Error(err)
	}
}

func TestUnhealthyWhileStopped(t *testing.T) {
	spec := server(freeAddr(t), t.TempDir())
	spec.Live = spec.Ready[0]
	spec.Live.Period, spec.Live.Timeout, spec.Live.Failures = 10*time.Millisecond, 100*time.Millisecond, 2
	r := start(t, supervisor.Config{}, spec)
	pid := r.want(supervisor.Ready).PID
	if err := proctest.Signal(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if e := r.want(supervisor.Unhealthy); e.Err == nil || !strings.Contains(e.Err.Error(), "no answer within 100ms") {
		t.Errorf("unhealthy because of %v", e.Err)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.want(supervisor.Healthy)
}

// A liveness probe whose period is negative is off.
func TestNoLiveness(t *testing.T) {
	spec := script(`sleep 0.2`)
	asked := make(chan struct{}, 1)
	spec.Live = supervisor.Probe{Period: -1, Check: func(context.Context, supervisor.Child) error {
		select {
		case asked <- struct{}{}:
		default:
		}
		return nil
	}}
	if err := <-start(t, supervisor.Config{}, spec).err; err != nil {
		t.Error(err)
	}
	if len(asked) > 0 {
		t.Error("it was asked")
	}
}

// A grandchild that keeps the output open must not make a dead child look alive.
func TestGrandchildHoldsOutput(t *testing.T) {
	r := start(t, supervisor.Config{}, script(`setsid sleep 1000 & echo up; exit 5`))
	if e := wantErr[*supervisor.ExitError](t, r); e.Exit.Code != 5 {
		t.Error(e)
	}
}

func TestGuardKilledRestarts(t *testing.T) {
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.OnFailure}}, server(freeAddr(t), t.TempDir()))
	pid := r.want(supervisor.Ready).PID
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skip("finds the guard through /proc:", err)
	}
	var guardPID int
	if _, err := fmt.Sscanf(string(stat[strings.LastIndex(string(stat), ")"):]), ") %1s %d", new(string), &guardPID); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(guardPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := r.want(supervisor.Exited); !errors.Is(e.Exit.Err, guard.ErrGuardDied) {
		t.Errorf("exited by %v", e.Exit)
	}
	r.want(supervisor.Ready)
}

func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "child.log")
	spec := script(`printf 'one\r\ntwo\rthree'; echo oops >&2`)
	spec.LogFile.Path = path
	r := start(t, supervisor.Config{}, spec)
	if err := <-r.err; err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{" stdout one\n", " stdout two\n", " stdout three\n", " stderr oops\n"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is not in the log:\n%s", want, body)
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("the log has mode %v", info.Mode())
	}
}

// A log that can't be written (a full disk) is no reason to block or end a child.
func TestLogCannotBeWritten(t *testing.T) {
	spec := script(`i=0; while [ $i -lt 20000 ]; do echo "a line to fill a pipe with, number $i"; i=$((i+1)); done`)
	spec.LogFile.Path = "/dev/null/child.log"
	r := start(t, supervisor.Config{}, spec)
	if err := <-r.err; err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) != 20000 {
		t.Errorf("%d lines came through", len(r.lines))
	}
}

// What is asked for while a stop is under way does not keep the child, nor make the stop
// a failure: not even of a start.
func TestStopGoesFirst(t *testing.T) {
	t.Parallel()
	spec := script("exec sleep 1000")
	spec.Ready = []supervisor.Probe{supervisor.LogLine(regexp.MustCompile("never"))}
	for name, ask := range map[string]func(*supervisor.Config){
		"leave": func(cfg *supervisor.Config) {
			leave := make(chan struct{})
			close(leave)
			cfg.Leave = leave
		},
		"again": func(cfg *supervisor.Config) {
			again := make(chan struct{}, 1)
			cfg.Again, cfg.Spec = again, func(context.Context, supervisor.Attempt) (supervisor.Spec, error) {
				again <- struct{}{}
				return spec, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ending := make(chan struct{})
			close(ending)
			cfg := supervisor.Config{Ending: ending}
			ask(&cfg)
			r := start(t, cfg, spec)
			r.want(supervisor.Stopped)
			if err := <-r.err; err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
