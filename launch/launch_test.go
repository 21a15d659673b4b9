package launch_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// TestLaunch is the whole of it: ready, registered in both places, and gone from
// both when it is stopped.
func TestLaunch(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	queen := startQueen(t, reg.url)
	cfg := config()
	cfg.Registry, cfg.Queen, cfg.SpawnedBy = registryClient(t, reg.url), queenClient(t, queen.url), "gui"
	r := start(t, cfg)

	var seen []launch.EventType
	with := map[string]bool{}
	var e launch.Event
	for len(with) < 2 {
		e = <-r.events
		seen = append(seen, e.Event)
		if e.Event == launch.Registered {
			with[e.With] = true
		}
	}
	want := []launch.EventType{launch.Leased, launch.Spawned, launch.Ready, launch.Registered, launch.Registered}
	if !slices.Equal(seen, want) || !with["registry"] || !with["queen"] {
		t.Errorf("events %v with %v, want %v", seen, with, want)
	}
	if want := "worker-llm-" + strconv.Itoa(e.Port); e.ID != want {
		t.Errorf("id %q, want %q", e.ID, want)
	}

	w := onlyWorker(t, cfg.Registry)
	if w.ID != e.ID || w.InstanceID != e.InstanceID || w.Port != e.Port || w.Model != "m" || w.WorkerType != "llm" || w.Status != registry.Online {
		t.Errorf("the registry has %+v, which is not the launch of %+v", w, e)
	}
	known, err := cfg.Queen.Workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(known) != 1 || known[0].WorkerID != e.ID || known[0].SpawnedBy != "gui" {
		t.Errorf("the queen has %+v, want the launch, spawned by gui", known)
	}

	rest := r.end()
	if want := []launch.EventType{launch.Stopping, launch.Stopped}; !slices.Equal(rest, want) {
		t.Errorf("events of the stop %v, want %v", rest, want)
	}
	if left := workers(t, cfg.Registry); len(left) != 0 {
		t.Errorf("after the stop the registry lists %+v", left)
	}
	if known, err := cfg.Queen.Workers(t.Context()); err != nil || len(known) != 0 {
		t.Errorf("after the stop the queen has %+v (error %v)", known, err)
	}
	if !isGone(e.PID) {
		t.Errorf("after the stop pid %d lives", e.PID)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://")); err == nil {
		t.Errorf("after the stop %s takes connections", e.URL)
	}
}

// An engine's profile says where its metrics are, or that there are none; of another program
// nothing is known.
func TestMetricsAreRegistered(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	for _, test := range []struct {
		engine, metrics string
		want            any
	}{{"fake", "/prom", "/prom"}, {"fake", "", ""}, {"", "", nil}} {
		cfg := config()
		cfg.Registry, cfg.Engine, cfg.Metrics = registryClient(t, reg.url), test.engine, test.metrics
		r := start(t, cfg)
		r.await(launch.Registered)
		if got := onlyWorker(t, cfg.Registry).Metadata[registry.MetricsKey]; got != test.want {
			t.Errorf("%+v: registered is %v", test, got)
		}
		r.end()
	}
}

// TestUnregistersFirst: a child that is asked to stop is on no list any more.
func TestUnregistersFirst(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	cfg := config()
	cfg.Registry = registryClient(t, reg.url)
	// env sets no variable for good: it runs the test binary as another program.
	cfg.Program = launch.Command([]string{"env", roleVar + "=lookback", executable(t), "127.0.0.1:{port}", reg.url}, launch.Health{TCP: true})
	r := start(t, cfg)
	r.await(launch.Registered)
	onlyWorker(t, cfg.Registry) // or an empty list would prove nothing
	r.end()
	if line := <-r.lines; line != "asked to stop, 0 listed" {
		t.Errorf("the child says %q, want that 0 were listed", line)
	}
}

// TestRegistryLater: a registry that is not there is no reason to fail, and has the
// child soon after it has come.
func TestRegistryLater(t *testing.T) {
	t.Parallel()
	addr := quietAddr(t)
	cfg := config()
	cfg.Registry = registryClient(t, "http://"+addr)
	r := start(t, cfg)
	ready := r.await(launch.Ready)
	startRegistry(t, addr)
	r.await(launch.Registered, "registry")
	if w := onlyWorker(t, cfg.Registry); w.InstanceID != ready.InstanceID {
		t.Errorf("the registry has %+v, want instance %s", w, ready.InstanceID)
	}
}

// TestRegistryRestarted: one that has lost its memory is told again.
func TestRegistryRestarted(t *testing.T) {
	t.Parallel()
	addr := quietAddr(t)
	first := startRegistry(t, addr)
	cfg := config()
	cfg.Registry = registryClient(t, "http://"+addr)
	r := start(t, cfg)
	before := r.await(launch.Registered)
	first.stop()
	startRegistry(t, addr)
	r.await(launch.Registered)
	if w := onlyWorker(t, cfg.Registry); w.InstanceID != before.InstanceID {
		t.Errorf("the new registry has %+v, want instance %s", w, before.InstanceID)
	}
}

// TestDeathAndReturn: the next life is another instance at the same place, and the
// old one is gone.
func TestDeathAndReturn(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	cfg := config()
	cfg.Registry, cfg.Restart = registryClient(t, reg.url), supervisor.Restart{When: supervisor.OnFailure}
	r := start(t, cfg)
	before := r.await(launch.Registered)
	signalTo(t, before.PID, syscall.SIGKILL)
	if exited := r.await(launch.Exited); exited.ExitCode == nil || *exited.ExitCode != 128+int(syscall.SIGKILL) {
		t.Errorf("exited with %v, want 137", exited.ExitCode)
	}
	r.await(launch.Restarting)
	after := r.await(launch.Registered)
	if after.InstanceID == before.InstanceID || after.PID == before.PID {
		t.Errorf("it came back as %+v, want another instance than %+v", after, before)
	}
	if after.Port != before.Port || after.ID != before.ID {
		t.Errorf("it came back at %s as %s, want %s and %s", after.URL, after.ID, before.URL, before.ID)
	}
	if w := onlyWorker(t, cfg.Registry); w.InstanceID != after.InstanceID {
		t.Errorf("the registry has instance %s, want %s", w.InstanceID, after.InstanceID)
	}
}

// TestHungChild: one that answers no more falls silent and goes offline; when it
// answers again it is back, without a new life.
func TestHungChild(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	cfg := config()
	cfg.Registry = registryClient(t, reg.url)
	cfg.Limits.ProbeTimeout, cfg.Limits.ProbeFailures = beat, 2
	r := start(t, cfg)
	before := r.await(launch.Registered)
	signalTo(t, before.PID, syscall.SIGSTOP)
	r.await(launch.Unhealthy)
	eventually(t, "the hung worker is offline", func() bool {
		return onlyWorker(t, cfg.Registry).Status == registry.Offline
	})
	signalTo(t, before.PID, syscall.SIGCONT)
	r.await(launch.Healthy)
	eventually(t, "the worker is online again", func() bool {
		return onlyWorker(t, cfg.Registry).Status == registry.Online
	})
	if w := onlyWorker(t, cfg.Registry); w.InstanceID != before.InstanceID {
		t.Errorf("it is another instance now: %s, it was %s", w.InstanceID, before.InstanceID)
	}
}

// TestEndsBeforeReady: the launch fails at once, with the child's last words.
func TestEndsBeforeReady(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Program = launch.Command([]string{"sh", "-c", "echo no such model; exit 3"}, launch.Health{})
	r := start(t, cfg)
	err := r.wait()
	var exit *supervisor.ExitError
	if !errors.As(err, &exit) || exit.Exit.Code != 3 || !exit.Early {
		t.Fatalf("error %v, want an *ExitError with code 3 before it was ready", err)
	}
	var last launch.Event
	for e := range r.events {
		last = e
	}
	if last.Event != launch.Failed || !slices.Equal(last.LastLines, []string{"no such model"}) {
		t.Errorf("the last event is %+v, want a failure with the child's last line", last)
	}
}

// TestHurry ends a grace period that would be long.
func TestHurry(t *testing.T) {
	t.Parallel()
	hurry := make(chan struct{})
	cfg := config()
	cfg.Program, cfg.Hurry, cfg.Limits.Grace = builtin("--ignore-sigterm"), hurry, time.Hour
	r := start(t, cfg)
	e := r.await(launch.Ready)
	r.stop()
	r.await(launch.Stopping)
	close(hurry)
	r.end()
	if !isGone(e.PID) {
		t.Errorf("pid %d lives on", e.PID)
	}
}

// TestRaceForPorts: launches that start together get a port each, while there are
// any, and who finds none starts nothing.
func TestRaceForPorts(t *testing.T) {
	t.Parallel()
	const places, wanted = 3, 5
	cfg := config()
	cfg.Ports = ports.Config{Range: ports.Range{First: 17990, Last: 17990 + places - 1}}
	all := make([]*running, wanted)
	for i := range all {
		all[i] = start(t, cfg)
	}
	taken := map[int]bool{}
	refused := 0
	for _, r := range all {
		first := <-r.events
		if first.Event == launch.Failed {
			var exhausted *ports.ExhaustedError
			if err := r.wait(); !errors.As(err, &exhausted) || len(exhausted.Holders) != places {
				t.Errorf("error %v, want an *ExhaustedError that names %d holders", err, places)
			}
			refused++
			continue
		}
		e := r.await(launch.Ready)
		if taken[e.Port] {
			t.Errorf("two launches are at port %d", e.Port)
		}
		taken[e.Port] = true
	}
	if len(taken) != places || refused != wanted-places {
		t.Errorf("%d launches have a port and %d have none, want %d and %d", len(taken), refused, places, wanted-places)
	}
}

// TestStranger: somebody who takes no lease has bound the port before our child
// could. The launch goes on with another, unless it was to be this one.
func TestStranger(t *testing.T) {
	t.Parallel()
	t.Run("any port", func(t *testing.T) {
		t.Parallel()
		var tried []int
		r := start(t, strangerAtFirst(t, &tried))
		if e := r.await(launch.Ready); len(tried) != 2 || e.Port != tried[1] || tried[0] == tried[1] {
			t.Errorf("ready at %d after it was tried at %v", e.Port, tried)
		}
	})
	t.Run("this port", func(t *testing.T) {
		t.Parallel()
		_, port, err := net.SplitHostPort(quietAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		var tried []int
		cfg := strangerAtFirst(t, &tried)
		cfg.Ports.Dir = t.TempDir() // the lease of quietAddr is none here
		if cfg.Port, err = strconv.Atoi(port); err != nil {
			t.Fatal(err)
		}
		err = start(t, cfg).wait()
		var taken *supervisor.PortTakenError
		if !errors.As(err, &taken) || !strings.Contains(taken.Holder, strconv.Itoa(os.Getpid())) {
			t.Errorf("error %v, want a *PortTakenError that names pid %d", err, os.Getpid())
		}
	})
}

// strangerAtFirst is a launch whose first port is taken between lease and start, by
// somebody who passes for a healthy worker.
func strangerAtFirst(t *testing.T, tried *[]int) launch.Config {
	cfg := config()
	child := cfg.Program
	cfg.Program = func(ctx context.Context, at launch.Target) (supervisor.Spec, error) {
		if *tried = append(*tried, at.Port); len(*tried) == 1 {
			var lc net.ListenConfig
			ln, err := lc.Listen(ctx, "tcp", at.Addr())
			if err != nil {
				return supervisor.Spec{}, err
			}
			healthy := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
			stranger := &httptest.Server{Listener: ln, Config: &http.Server{Handler: healthy}}
			stranger.Start()
			t.Cleanup(stranger.Close)
		}
		return child(ctx, at)
	}
	return cfg
}
