package launch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// orphan starts a launcher that keeps its child, kills it when the child is ready and
// registered, and gives the child's pid and entry.
func orphan(t *testing.T, dir string, reg daemon, kind ...string) (pid int, entry registry.Entry) {
	t.Helper()
	cmd, pid := startLauncher(t, append([]string{dir, reg.url}, kind...)...)
	client := registryClient(t, reg.url)
	eventually(t, "it is registered", func() bool { return len(workers(t, client)) == 1 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	return pid, workers(t, client)[0]
}

// adopting is a launch that takes over what orphan left.
func adopting(t *testing.T, dir string, reg daemon) launch.Config {
	cfg := keptConfig(dir)
	cfg.Registry, cfg.Adopt = registryClient(t, reg.url), true
	cfg.SpawnedBy = "the next"
	return cfg
}

// TestAdopt: the child of a launcher that was killed is taken over as it is.
func TestAdopt(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
	pid, entry := orphan(t, dir, reg)
	l := onlyLaunch(t, dir)
	if l.Status != launch.IsOrphaned || l.PID != pid || l.Registry || l.SpawnedBy != "the first" {
		t.Errorf("listed as %+v, want pid %d, orphaned, of the first", l, pid)
	}
	orphans, err := launch.Orphans(dir)
	if err != nil || len(orphans) != 1 || string(orphans[0].Resume) != `{"any":"thing"}` {
		t.Errorf("orphans: %+v, %v", orphans, err)
	}
	var inUse *launch.InUseError
	other := config()
	other.ID, other.RuntimeDir = l.ID, dir
	if err := launch.Run(t.Context(), other); !errors.As(err, &inUse) || !inUse.Orphaned {
		t.Errorf("a new launch of its id: %v", err)
	}

	r := start(t, adopting(t, dir, reg))
	if e := r.await(launch.Adopted); e.PID != pid || e.InstanceID != entry.InstanceID || e.Port != l.Port {
		t.Errorf("adopted: %+v, want pid %d, instance %s, port %d", e, pid, entry.InstanceID, l.Port)
	}
	r.await(launch.Registered)
	if e := onlyWorker(t, registryClient(t, reg.url)); e.InstanceID != entry.InstanceID {
		t.Errorf("the registry has instance %s, not %s", e.InstanceID, entry.InstanceID)
	}
	if l := onlyLaunch(t, dir); l.Status != launch.IsReady || l.PID != pid || l.SupervisorPID != os.Getpid() || l.SpawnedBy != "the next" {
		t.Errorf("listed as %+v, want pid %d, ready, by %d, of the next", l, pid, os.Getpid())
	}
	if resume, err := launch.ResumeOf(dir, l.ID); err != nil || string(resume) != `{"any":"thing"}` {
		t.Errorf("how it was launched: %s, %v", resume, err)
	}
	if _, err := launch.ResumeOf(dir, "nobody"); !errors.Is(err, launch.ErrNotThere) {
		t.Errorf("how nobody was launched: %v", err)
	}
	<-r.lines // they are followed on
	r.end()
	if !isGone(pid) {
		t.Error("the child lives on")
	}
	if n := len(workers(t, registryClient(t, reg.url))); n != 0 {
		t.Errorf("%d workers are registered still", n)
	}
	mustBeEmpty(t, filepath.Join(dir, "launches"))
	holdLog(t, filepath.Join(dir, "logs", "of-another.log"))
}

// holdLog fails when a line is missing.
func holdLog(t *testing.T, path string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := 1
	for _, found := range regexp.MustCompile(`(?m)^\S+ stdout line (\d+)$`).FindAllSubmatch(body, -1) {
		if string(found[1]) != strconv.Itoa(want) {
			t.Fatalf("line %s follows line %d", found[1], want-1)
		}
		want++
	}
	if want == 1 {
		t.Fatalf("the log holds no line:\n%s", body)
	}
}

// TestAdoptedChildIsRestarted: what was adopted is kept like any other.
func TestAdoptedChildIsRestarted(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
	pid, entry := orphan(t, dir, reg)
	cfg := adopting(t, dir, reg)
	cfg.Restart.When = "always"
	r := start(t, cfg)
	r.await(launch.Ready)
	signalTo(t, pid, 9)
	e := r.await(launch.Ready)
	if e.PID == pid || e.InstanceID == entry.InstanceID || e.Port != entry.Port {
		t.Errorf("it came back as %+v, want another pid and instance at port %d", e, entry.Port)
	}
}

// TestStopOrphan: what nobody wants to adopt can be ended.
func TestStopOrphan(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
	pid, _ := orphan(t, dir, reg)
	_, err := launch.Open(dir, "of-another")
	var orphaned *launch.OrphanedError
	if !errors.As(err, &orphaned) || orphaned.PID != pid {
		t.Errorf("opened: %v", err)
	}
	client := registryClient(t, reg.url)
	o := launch.StopOptions{Registrars: []registry.Registrar{client}}
	if err := launch.StopOrphan(t.Context(), dir, "of-another", o); err != nil {
		t.Fatal(err)
	}
	if !isGone(pid) {
		t.Error("the child lives on")
	}
	if n := len(workers(t, client)); n != 0 {
		t.Errorf("%d workers are registered still", n)
	}
	mustBeEmpty(t, filepath.Join(dir, "launches"))
}

// TestStopOrphanOfStoppedGuard: a guard that does not answer does not keep a stop from
// ending.
func TestStopOrphanOfStoppedGuard(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
	pid, _ := orphan(t, dir, reg)
	signalTo(t, guardOf(t, dir, "of-another"), syscall.SIGSTOP)
	if err := launch.Stop(t.Context(), dir, "of-another", launch.StopOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is gone", func() bool { return isGone(pid) })
	mustBeEmpty(t, filepath.Join(dir, "launches"))
}

// TestStopOrphanThatEnds: an orphan that ends by itself while it is to be stopped is one
// that has been stopped.
func TestStopOrphanThatEnds(t *testing.T) {
	t.Parallel()
	for round := range 12 {
		dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
		pid, _ := orphan(t, dir, reg)
		signalTo(t, pid, syscall.SIGKILL)
		time.Sleep(time.Duration(round) * 200 * time.Microsecond) // its guard is a little further each time
		err := launch.Stop(t.Context(), dir, "of-another", launch.StopOptions{}, nil)
		if err != nil && !errors.Is(err, launch.ErrNotThere) {
			t.Fatal(err)
		}
		empties(t, filepath.Join(dir, "launches"))
	}
}

// guardOf is the pid of a launch's guard, as its state has it.
func guardOf(t *testing.T, dir, id string) int {
	t.Helper()
	var state struct{ Guard guard.Process }
	body, err := os.ReadFile(filepath.Join(dir, "launches", id+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &state); err != nil {
		t.Fatal(err)
	}
	return state.Guard.PID
}

// TestStopWithin: a stop that is asked to take less than the launch gives insists in
// time.
func TestStopWithin(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Limits.Grace = "patient", t.TempDir(), time.Hour
	cfg.Program = launch.Command([]string{"sh", "-c", `trap "" TERM; trap "exit 0" INT; echo up; while :; do sleep 0.01; done`}, launch.Health{Log: regexp.MustCompile("up")})
	cfg.Limits.AnyOwner = true // it listens nowhere
	r := start(t, cfg)
	r.await(launch.Ready)
	remote, err := launch.Open(cfg.RuntimeDir, "patient")
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	grace := 2 * time.Second
	if err := remote.Stop(t.Context(), launch.StopOptions{Grace: &grace}); err != nil {
		t.Fatal(err)
	}
	if e := r.await(launch.Stopped); e.Stop == nil || !slices.Equal(e.Stop.Signals, []string{"SIGTERM", "SIGINT"}) {
		t.Errorf("it took %+v", e.Stop)
	}
}

// TestStopSooner: of two stops the one that gives less time counts.
func TestStopSooner(t *testing.T) {
	t.Parallel()
	r, remote := startScript(t, t.TempDir(), `trap "" TERM INT; echo up; while :; do sleep 0.01; done`)
	for _, grace := range []time.Duration{time.Hour, 100 * time.Millisecond} {
		if err := remote.Stop(t.Context(), launch.StopOptions{Grace: &grace}); err != nil {
			t.Fatal(err)
		}
	}
	if e := r.await(launch.Stopped); e.Stop == nil || !slices.Contains(e.Stop.Signals, "SIGKILL") {
		t.Errorf("it took %+v", e.Stop)
	}
}

// TestRestartTwice: who asks for a restart while one is under way gets that one, and does
// not wait for the child to end.
func TestRestartTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked, mayEnd := filepath.Join(dir, "asked"), filepath.Join(dir, "may end")
	r, remote := startScript(t, dir, fmt.Sprintf(`trap 'touch %q; while [ ! -e %q ]; do sleep 0.01; done; exit 0' TERM; echo up; while :; do sleep 0.01; done`, asked, mayEnd))
	if err := remote.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is asked to end", func() bool { _, err := os.Stat(asked); return err == nil })
	if err := remote.Restart(t.Context()); err != nil {
		t.Errorf("a second restart: %v", err)
	}
	if err := os.WriteFile(mayEnd, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.await(launch.Ready)
	for _, e := range r.end() {
		if e == launch.Spawned || e == launch.Restarting {
			t.Errorf("it was restarted once more: %s", e)
		}
	}
}

// startScript launches a shell script that says "up" when it is ready, and gives it an
// hour to end.
func startScript(t *testing.T, dir, script string) (*running, *launch.Remote) {
	t.Helper()
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Limits.Grace = "script", dir, time.Hour
	cfg.Program = launch.Command([]string{"sh", "-c", script}, launch.Health{Log: regexp.MustCompile("up")})
	cfg.Limits.AnyOwner = true // it listens nowhere
	r := start(t, cfg)
	r.await(launch.Ready)
	remote, err := launch.Open(dir, "script")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	return r, remote
}

// TestOrphanEnds: a kept child that ends by itself leaves nothing.
func TestOrphanEnds(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
	pid, _ := orphan(t, dir, reg)
	signalTo(t, pid, 9)
	empties(t, filepath.Join(dir, "launches"))
}

// TestNothingToAdopt: what can't be adopted is refused, and nothing is touched.
func TestNothingToAdopt(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ID, cfg.RuntimeDir = "one", t.TempDir()
	var refused *launch.NotOrphanedError
	adopt := cfg
	adopt.Adopt = true
	if err := launch.Run(t.Context(), adopt); !errors.As(err, &refused) {
		t.Errorf("an id that nobody knows: %v", err)
	}
	r := start(t, cfg)
	e := r.await(launch.Ready)
	cmd := exec.Command(executable(t), cfg.RuntimeDir)
	cmd.Env = append(os.Environ(), roleVar+"=adopter")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "its launcher, pid "+strconv.Itoa(os.Getpid())+", lives") {
		t.Errorf("a launch that lives: %v, %s", err, out)
	}
	if isGone(e.PID) {
		t.Error("its child was ended")
	}
}

// TestDeadStates: the state of a launch that nobody has is reported and cleared, and
// what it names is left alone unless it is exactly what was started.
func TestDeadStates(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "1000")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bystander.Process.Kill(); _ = bystander.Wait() }()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Skip("boot ids are read from /proc here: ", err)
	}
	here := strings.TrimSpace(string(boot))
	for name, test := range map[string]struct{ state, why string }{
		"half-written":    {`{"id":"x","boot_`, "can't be read"},
		"another boot":    {fmt.Sprintf(`{"id":"x","boot_id":"b","child":{"pid":%d,"start":1}}`, bystander.Process.Pid), "last started"},
		"another program": {fmt.Sprintf(`{"id":"x","boot_id":%q,"child":{"pid":%d,"start":1}}`, here, bystander.Process.Pid), "another program now"},
		"no child":        {fmt.Sprintf(`{"id":"x","boot_id":%q}`, here), "were killed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "launches"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "launches", "x.json"), []byte(test.state), 0o600); err != nil {
				t.Fatal(err)
			}
			if list, err := launch.List(dir); err != nil || len(list) != 0 {
				t.Errorf("listed: %v, %v", list, err)
			}
			left, err := launch.Leftovers(dir)
			if err != nil || len(left) != 1 || left[0].ID != "x" || !strings.Contains(left[0].Why, test.why) {
				t.Errorf("left over: %+v, %v; want %q", left, err, test.why)
			}
			if left, err := launch.Clear(dir); err != nil || len(left) != 1 {
				t.Errorf("cleared: %+v, %v", left, err)
			}
			mustBeEmpty(t, filepath.Join(dir, "launches"))
			if isGone(bystander.Process.Pid) {
				t.Error("a bystander was ended")
			}
		})
	}
}

// TestClearReclaims: with launcher and guard killed, what came from the child and left its
// session is ended by whoever clears the record.
func TestClearReclaims(t *testing.T) {
	t.Parallel()
	dir, reg := t.TempDir(), startRegistry(t, "127.0.0.1:0")
	child, _ := orphan(t, dir, reg)
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", child))
	if err != nil {
		t.Skip("descendants are told by their environment on Linux only: ", err)
	}
	descendant := exec.Command("sleep", "1000")
	descendant.Env = strings.Split(string(env), "\x00")
	descendant.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := descendant.Start(); err != nil {
		t.Fatal(err)
	}
	var state struct{ Guard guard.Process }
	body, err := os.ReadFile(filepath.Join(dir, "launches", "of-another.json"))
	if err := errors.Join(err, json.Unmarshal(body, &state)); err != nil {
		t.Fatal(err)
	}
	state.Guard.Kill()
	eventually(t, "the guard's locks are free", func() bool {
		left, err := launch.Leftovers(dir)
		return err == nil && len(left) == 1
	})
	if left, err := launch.Clear(dir); err != nil || len(left) != 1 {
		t.Errorf("cleared: %+v, %v", left, err)
	}
	_ = descendant.Wait() // or never, if it lives; it may have been reaped by Clear, being a child of this process
}

// TestRemote commands a launch through its socket.
func TestRemote(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Registry, cfg.Version = "one", t.TempDir(), registryClient(t, reg.url), "1.2.3"
	r := start(t, cfg)
	first := r.await(launch.Registered)
	remote, err := launch.Open(cfg.RuntimeDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	i, err := remote.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i.PID != first.PID || i.Processes != 1 || i.RSS == 0 || i.GuardPID == 0 || len(i.Command) == 0 || i.Version != "1.2.3" || len(i.Events) < 4 {
		text, _ := json.Marshal(i)
		t.Errorf("inspected: %s", text)
	}

	heard := make(chan launch.Event, 1000)
	go func() {
		defer close(heard)
		for e, err := range remote.Events(context.WithoutCancel(t.Context()), true) {
			if err != nil {
				t.Error(err)
			}
			heard <- e
		}
	}()
	if e := <-heard; e.Event != launch.Leased {
		t.Errorf("the first event is %+v", e)
	}
	if err := remote.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := r.await(launch.Registered)
	if second.PID == first.PID || second.InstanceID == first.InstanceID || second.Port != first.Port {
		t.Errorf("restarted as %+v, before %+v", second, first)
	}
	if err := remote.Upgrade(t.Context(), "/bin/true"); err == nil || !strings.Contains(err.Error(), "does more than this launch") {
		t.Errorf("upgrade: %v", err)
	}
	if err := remote.Stop(t.Context(), launch.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil {
		t.Errorf("the launch ended with %v", err)
	}
	var last launch.Event
	for e := range heard {
		last = e
	}
	if last.Event != launch.Ended || last.ExitCode == nil || *last.ExitCode != 0 {
		t.Errorf("the last event is %+v", last)
	}
	if _, err := launch.Open(cfg.RuntimeDir, "one"); !errors.Is(err, launch.ErrNotThere) {
		t.Errorf("opened after its end: %v", err)
	}
}

// TestHandOver: a launch goes on in the next program of its process, as it is.
func TestHandOver(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Registry, cfg.Replaceable = "one", t.TempDir(), registryClient(t, reg.url), true
	r := start(t, cfg)
	first := r.await(launch.Registered)
	remote, err := launch.Open(cfg.RuntimeDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	if err := remote.Upgrade(t.Context(), "/bin/next"); err != nil {
		t.Fatal(err)
	}
	var over *launch.HandedOverError
	if err := r.wait(); !errors.As(err, &over) || over.Path != "/bin/next" {
		t.Fatalf("the launch ended with %v", err)
	}
	onlyWorker(t, registryClient(t, reg.url)) // it was not unregistered
	cfg.Adopt, cfg.Control = true, over.Control
	r = start(t, cfg)
	if e := r.await(launch.Registered); e.PID != first.PID || e.InstanceID != first.InstanceID {
		t.Errorf("it goes on as %+v, before %+v", e, first)
	}
	if _, err := remote.Inspect(t.Context()); err != nil {
		t.Errorf("at the same socket: %v", err)
	}
}
