package launch_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
)

// disk is one of 256 KB, which only root can have made.
func disk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no disk of our own to fill: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that is left; the caller removes the file.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "fill")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 1<<10))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return path
}

// recordedAs is the launcher that the record of "of-another" names.
func recordedAs(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "launches", "of-another.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		PID    int           `json:"supervisor_pid"`
		Status launch.Status `json:"status"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return state.PID
}

// TestAdoptOnFullDisk: who adopts a launch writes that down in the room that the record has.
func TestAdoptOnFullDisk(t *testing.T) {
	t.Parallel()
	dir, reg := disk(t), startRegistry(t, "127.0.0.1:0")
	pid, _ := orphan(t, dir, reg, "stubborn")
	fill(t, dir)
	r := start(t, adopting(t, dir, reg))
	r.await(launch.Registered)
	if got := recordedAs(t, dir); got != os.Getpid() {
		t.Errorf("the record names pid %d, not %d", got, os.Getpid())
	}
	if l := onlyLaunch(t, dir); l.Status != launch.IsReady || !l.Registry || l.SpawnedBy != "the next" {
		t.Errorf("listed as %+v", l) // what was written last, of several times
	}
	if err := launch.Stop(t.Context(), dir, "of-another", launch.StopOptions{Grace: new(time.Duration)}, nil); err != nil {
		t.Error(err)
	}
	if err := r.wait(); err != nil || !isGone(pid) {
		t.Errorf("it ended with %v; the child is gone: %v", err, isGone(pid))
	}
	mustBeEmpty(t, filepath.Join(dir, "launches"))
}

// TestRecordIsMended: what could not be written is written when there is room.
func TestRecordIsMended(t *testing.T) {
	t.Parallel()
	dir, reg := disk(t), startRegistry(t, "127.0.0.1:0")
	orphan(t, dir, reg, "stubborn")
	if err := os.Remove(filepath.Join(dir, "launches", "of-another.spare")); err != nil {
		t.Fatal(err)
	}
	full := fill(t, dir)
	r := start(t, adopting(t, dir, reg))
	r.await(launch.Registered)
	if got := recordedAs(t, dir); got == os.Getpid() {
		t.Fatal("there was room for the record: this tests nothing")
	}
	if l := onlyLaunch(t, dir); l.SupervisorPID != os.Getpid() {
		t.Errorf("listed as %+v", l)
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record names its launcher", func() bool { return recordedAs(t, dir) == os.Getpid() })
	if err := launch.Stop(t.Context(), dir, "of-another", launch.StopOptions{Grace: new(time.Duration)}, nil); err != nil {
		t.Error(err)
	}
}
