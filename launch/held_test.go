package launch_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
)

// unrecorded is an orphan that was adopted here, with the record that it had before: that of
// an adopter who could not write.
func unrecorded(t *testing.T) (r *running, dir string) {
	t.Helper()
	dir = t.TempDir()
	reg := startRegistry(t, "127.0.0.1:0")
	orphan(t, dir, reg, "stubborn")
	path := filepath.Join(dir, "launches", "of-another.json")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg := adopting(t, dir, reg)
	cfg.Limits.Grace = 50 * time.Millisecond
	r = start(t, cfg)
	r.await(launch.Registered)
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	return r, dir
}

// TestUnrecordedLauncher: who has adopted a launch is found where it takes commands, though
// the record names another.
func TestUnrecordedLauncher(t *testing.T) {
	t.Parallel()
	r, dir := unrecorded(t)
	if l := onlyLaunch(t, dir); l.Status != launch.IsReady || l.SupervisorPID != os.Getpid() {
		t.Errorf("listed as %+v, want ready, by %d", l, os.Getpid())
	}
	if orphans, err := launch.Orphans(dir); err != nil || len(orphans) != 0 {
		t.Errorf("orphans: %+v, %v", orphans, err)
	}
	if err := launch.Stop(t.Context(), dir, "of-another", launch.StopOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(); err != nil {
		t.Error(err)
	}
	mustBeEmpty(t, filepath.Join(dir, "launches"))
}

// TestStopOfHeldLaunch: where that one takes no commands either, a stop fails, and says who
// has it.
func TestStopOfHeldLaunch(t *testing.T) {
	t.Parallel()
	_, dir := unrecorded(t)
	sock := filepath.Join(dir, "launches", "of-another.sock")
	for _, err := range []error{os.Remove(sock), os.MkdirAll(filepath.Join(sock, "in the way"), 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer os.RemoveAll(sock)
	var held *launch.HeldError
	err := launch.Stop(t.Context(), dir, "of-another", launch.StopOptions{}, nil)
	if !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("stopped: %v, want that pid %d has it", err, os.Getpid())
	}
}

// TestStopHurried: a hurry ends the grace period of an orphan, and of a launch whose launcher
// was asked.
func TestStopHurried(t *testing.T) {
	t.Parallel()
	stop := func(dir, id string) {
		t.Helper()
		hurry, asked := make(chan struct{}), make(chan struct{})
		time.AfterFunc(50*time.Millisecond, func() { close(hurry); close(asked) })
		if err := launch.Stop(t.Context(), dir, id, launch.StopOptions{Hurry: hurry}, nil); err != nil {
			t.Error(err)
		}
		<-asked
		mustBeEmpty(t, filepath.Join(dir, "launches"))
	}
	reg := startRegistry(t, "127.0.0.1:0")
	for _, orphaned := range []bool{true, false} {
		dir := t.TempDir()
		cmd, pid := startLauncher(t, dir, reg.url, "stubborn")
		if orphaned {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // it was killed
		}
		stop(dir, "of-another")
		if !isGone(pid) {
			t.Errorf("orphaned %v: the child lives on", orphaned)
		}
	}
}
