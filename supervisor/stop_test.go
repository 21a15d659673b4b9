package supervisor_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// signals are those that a stop sent.
func signals(s *supervisor.Stop) []syscall.Signal {
	if s == nil {
		return nil
	}
	var sent []syscall.Signal
	for _, x := range s.Sent {
		sent = append(sent, x.Signal)
	}
	return sent
}

func wantSignals(t *testing.T, s *supervisor.Stop, want ...syscall.Signal) {
	t.Helper()
	if got := signals(s); !slices.Equal(got, want) {
		t.Errorf("it was sent %v, want %v", got, want)
	}
}

func wantLaggard(t *testing.T, s *supervisor.Stop, pid int, name string) {
	t.Helper()
	if s == nil {
		t.Fatal("nothing is said of what it took")
	}
	for _, p := range s.Laggards {
		if p.PID == pid && strings.Contains(p.Name, name) {
			return
		}
	}
	t.Errorf("among the laggards %v is no pid %d %s", s.Laggards, pid, name)
}

// up is ready once it says so.
func up(text string) supervisor.Spec {
	spec := script(text)
	spec.Ready = []supervisor.Probe{supervisor.LogLine(regexp.MustCompile("^up"))}
	return spec
}

func deaf(grace time.Duration) supervisor.Spec {
	spec := up(`trap "" TERM INT; echo up; while :; do sleep 0.01; done`)
	spec.Grace = grace
	return spec
}

func TestStopLadder(t *testing.T) {
	t.Run("first signal", func(t *testing.T) {
		t.Parallel()
		r := start(t, supervisor.Config{}, up(`echo up; exec sleep 1000`))
		r.want(supervisor.Ready)
		r.stop()
		e := r.want(supervisor.Stopped)
		wantSignals(t, e.Stop, syscall.SIGTERM)
		if len(e.Stop.Laggards) != 0 {
			t.Errorf("laggards %v", e.Stop.Laggards)
		}
	})
	t.Run("second signal", func(t *testing.T) {
		t.Parallel()
		spec := up(`trap "" TERM; trap "exit 0" INT; echo up; while :; do sleep 0.01; done`)
		spec.Grace = 4 * time.Second
		r := start(t, supervisor.Config{}, spec)
		r.want(supervisor.Ready)
		r.stop()
		e := r.want(supervisor.Stopped)
		wantSignals(t, e.Stop, syscall.SIGTERM, syscall.SIGINT)
		if got := e.Stop.Sent[1].After; got < 2*time.Second {
			t.Errorf("the second signal came after %s of 4 s", got)
		}
	})
	t.Run("second signal of its own", func(t *testing.T) {
		t.Parallel()
		spec := up(`trap "" TERM INT; trap "exit 0" HUP; echo up; while :; do sleep 0.01; done`)
		spec.SecondSignal, spec.Grace = syscall.SIGHUP, 4*time.Second
		r := start(t, supervisor.Config{}, spec)
		r.want(supervisor.Ready)
		r.stop()
		wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGTERM, syscall.SIGHUP)
	})
	t.Run("grace ends", func(t *testing.T) {
		t.Parallel()
		const grace = 50 * time.Millisecond
		r := start(t, supervisor.Config{}, deaf(grace))
		r.want(supervisor.Ready)
		r.stop()
		e := r.want(supervisor.Stopped)
		wantSignals(t, e.Stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL)
		wantLaggard(t, e.Stop, e.PID, "sh")
		if e.Stop.Took < grace {
			t.Errorf("it took %s", e.Stop.Took)
		}
	})
	t.Run("no grace", func(t *testing.T) {
		t.Parallel()
		r := start(t, supervisor.Config{}, deaf(-1))
		r.want(supervisor.Ready)
		r.stop()
		wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGKILL)
	})
	t.Run("hurry", func(t *testing.T) {
		t.Parallel()
		hurry := make(chan struct{})
		r := start(t, supervisor.Config{Hurry: hurry}, deaf(time.Hour))
		r.want(supervisor.Ready)
		r.stop()
		r.want(supervisor.Stopping)
		close(hurry)
		e := r.want(supervisor.Stopped)
		wantSignals(t, e.Stop, syscall.SIGTERM, syscall.SIGKILL)
		wantLaggard(t, e.Stop, e.PID, "sh")
	})
	t.Run("own signal", func(t *testing.T) {
		t.Parallel()
		spec := up(`trap "echo bye; exit 0" INT; echo up; while :; do sleep 0.01; done`)
		spec.StopSignal, spec.Grace = syscall.SIGINT, time.Hour
		r := start(t, supervisor.Config{}, spec)
		r.want(supervisor.Ready)
		r.stop()
		wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGINT)
		r.mu.Lock()
		defer r.mu.Unlock()
		if got := strings.Join(r.lines, " "); got != "up bye" {
			t.Errorf("it printed %q", got)
		}
	})
	t.Run("stopped process", func(t *testing.T) {
		t.Parallel()
		spec := up(`trap "exit 0" TERM; echo up; while :; do sleep 0.01; done`)
		spec.Grace = time.Hour
		r := start(t, supervisor.Config{}, spec)
		if err := syscall.Kill(-r.want(supervisor.Ready).PID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		r.stop()
		wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGTERM)
	})
	t.Run("while it starts", func(t *testing.T) {
		t.Parallel()
		spec := script(`exec sleep 1000`)
		spec.Ready, spec.Grace = []supervisor.Probe{supervisor.TCP(freeAddr(t))}, time.Hour
		r := start(t, supervisor.Config{}, spec)
		r.want(supervisor.Spawned)
		r.stop()
		wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGTERM)
	})
}

// A wrapper that ends at the signal does not cut short the server that it wraps and
// that heard the signal, too.
func TestStopWaitsForTheGroup(t *testing.T) {
	spec := up(`sh -c 'trap "sleep 0.3; echo drained; exit" TERM; echo up; while :; do sleep 0.01; done' & wait`)
	spec.Grace = time.Hour
	r := start(t, supervisor.Config{}, spec)
	r.want(supervisor.Ready)
	r.stop()
	wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGTERM)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.lines, "drained") {
		t.Errorf("it printed %q", r.lines)
	}
}

// What left the group heard no signal and is not waited for once all others have gone.
func TestStopKillsDeserters(t *testing.T) {
	needsSetsid(t)
	spec := up(`setsid sh -c 'echo up $$; while :; do sleep 1; done' & wait`)
	spec.Grace = time.Hour
	r := start(t, supervisor.Config{}, spec)
	r.want(supervisor.Ready)
	r.stop()
	e := r.want(supervisor.Stopped)
	wantSignals(t, e.Stop, syscall.SIGTERM, syscall.SIGKILL)
	wantLaggard(t, e.Stop, r.saidPID("up "), "sh")
}

// A child that ended by itself says nothing of a stop, unless it left something behind.
func TestExitedSaysWhatWasLeft(t *testing.T) {
	needsSetsid(t)
	r := start(t, supervisor.Config{}, script(`exit 1`))
	if e := r.want(supervisor.Exited); e.Stop != nil {
		t.Errorf("nothing was left, and it was sent %v", signals(e.Stop))
	}
	spec := script(`setsid sh -c 'echo $$; touch there; while :; do sleep 1; done' & until [ -e there ]; do sleep 0.01; done; exit 1`)
	spec.Dir = t.TempDir()
	r = start(t, supervisor.Config{}, spec)
	e := r.want(supervisor.Exited)
	wantSignals(t, e.Stop, syscall.SIGKILL)
	wantLaggard(t, e.Stop, r.saidPID(""), "sh")
}

// A child that dies while its farewell is said is not started again.
func TestEnding(t *testing.T) {
	ending := make(chan struct{})
	policy := supervisor.Restart{When: supervisor.Always}
	r := start(t, supervisor.Config{Restart: policy, Ending: ending}, up(`echo up; exec sleep 1000`))
	pid := r.want(supervisor.Ready).PID
	close(ending)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.want(supervisor.Exited)
	if e := <-r.events; e.Type != supervisor.Stopped {
		t.Errorf("%s after it exited while a stop was under way", e.Type)
	}
	if err := <-r.err; err != nil {
		t.Error(err)
	}
}

func TestStopInBackoff(t *testing.T) {
	policy := supervisor.Restart{When: supervisor.Always, Initial: time.Hour, Max: time.Hour}
	r := start(t, supervisor.Config{Restart: policy}, script(`exit 1`))
	for r.want(supervisor.Restarting).Wait == 0 {
	}
	r.stop()
	r.want(supervisor.Stopped)
}

// Stops of children that share a guard go on side by side: each of these ends when all
// of them have heard the signal.
func TestStopsSideBySide(t *testing.T) {
	const n = 10
	dir := t.TempDir()
	g, err := guard.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() }) // after the children's own cleanups
	all := make([]*run, n)
	for i := range all {
		spec := up(fmt.Sprintf(`trap "touch %d; until [ \$(ls | wc -l) -eq %d ]; do sleep 0.02; done; exit 0" TERM; echo up; while :; do sleep 0.02; done`, i, n))
		spec.Dir, spec.Grace = dir, time.Hour
		all[i] = start(t, supervisor.Config{Guard: g}, spec)
	}
	for _, r := range all {
		r.want(supervisor.Ready)
	}
	for _, r := range all {
		r.stop()
	}
	for _, r := range all {
		wantSignals(t, r.want(supervisor.Stopped).Stop, syscall.SIGTERM)
	}
}

// The port is free after a crash and after a stop, even if it was a grandchild with a
// session of its own that listened.
func TestPortIsFreeAfterwards(t *testing.T) {
	needsSetsid(t)
	addr := freeAddr(t)
	spec := server(addr, t.TempDir())
	spec.Argv = []string{"/bin/sh", "-c", `setsid "$0" & echo server $!; wait`, os.Args[0]}
	r := start(t, supervisor.Config{Restart: supervisor.Restart{When: supervisor.Always}}, spec)
	if err := syscall.Kill(r.want(supervisor.Ready).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantLaggard(t, r.want(supervisor.Exited).Stop, r.saidPID("server "), filepath.Base(os.Args[0]))
	r.want(supervisor.Ready) // it has bound the same port
	r.stop()
	r.want(supervisor.Stopped)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
}

func needsSetsid(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("setsid"); err != nil {
		t.Skip("there is no setsid")
	}
}

// saidPID is the number that the first line with the prefix goes on with.
func (r *run) saidPID(prefix string) int {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			if pid, err := strconv.Atoi(rest); err == nil {
				return pid
			}
		}
	}
	r.t.Fatalf("no line is %q and a pid: %q", prefix, r.lines)
	return 0
}
