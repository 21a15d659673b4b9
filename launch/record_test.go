package launch_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/launch"
)

// TestList shows a launch from its start to its end, and nothing afterwards.
func TestList(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t, "127.0.0.1:0")
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Registry = "one/of:them", t.TempDir(), registryClient(t, reg.url)
	r := start(t, cfg)
	r.await(launch.Spawned)
	l := onlyLaunch(t, cfg.RuntimeDir)
	if l.ID != cfg.ID || l.SupervisorPID != os.Getpid() || l.Model != "m" {
		t.Errorf("listed as %+v, want id %q, model m, by pid %d", l, cfg.ID, os.Getpid())
	}
	e := r.await(launch.Registered)
	l = onlyLaunch(t, cfg.RuntimeDir)
	if l.Status != launch.IsReady || !l.Registry || l.Queen || l.PID != e.PID || l.InstanceID != e.InstanceID || l.URL != e.URL {
		t.Errorf("listed as %+v, want what %+v says", l, e)
	}
	r.end()
	mustBeEmpty(t, filepath.Join(cfg.RuntimeDir, "launches"))
}

// TestListAfterRestart: a launch that came back says so.
func TestListAfterRestart(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Restart.When = "phoenix", t.TempDir(), "always"
	r := start(t, cfg)
	e := r.await(launch.Ready)
	signalTo(t, e.PID, syscall.SIGKILL)
	e = r.await(launch.Ready)
	if l := onlyLaunch(t, cfg.RuntimeDir); l.Restarts != 1 || l.PID != e.PID || l.Status != launch.IsReady {
		t.Errorf("listed as %+v, want 1 restart, pid %d, ready", l, e.PID)
	}
}

// TestSameID: an id is one launch's, as long as that lives.
func TestSameID(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ID, cfg.RuntimeDir = "one", t.TempDir()
	first := start(t, cfg)
	e := first.await(launch.Ready)
	err := start(t, cfg).wait()
	var inUse *launch.InUseError
	if !errors.As(err, &inUse) || inUse.ID != "one" || inUse.PID != os.Getpid() {
		t.Errorf("error %v, want an *InUseError that names pid %d", err, os.Getpid())
	}
	if l := onlyLaunch(t, cfg.RuntimeDir); l.PID != e.PID || l.Status != launch.IsReady {
		t.Errorf("listed as %+v, want the first launch as it was", l)
	}
	first.end()
	start(t, cfg).await(launch.Ready)
}

// TestKilledLauncher: SIGKILL of a launcher takes its child with it, and leaves
// nothing that List would show or a next launch would stumble over.
func TestKilledLauncher(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, child := startLauncher(t, dir)
	if l := onlyLaunch(t, dir); l.PID != child || l.SupervisorPID != cmd.Process.Pid {
		t.Errorf("listed as %+v, want pid %d, launched by %d", l, child, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	eventually(t, "the killed launcher's child is gone", func() bool { return isGone(child) })
	empties(t, filepath.Join(dir, "launches"))
}

func onlyLaunch(t *testing.T, dir string) launch.Launch {
	t.Helper()
	list, err := launch.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("%d launches are listed, want 1: %+v", len(list), list)
	}
	return list[0]
}
