package launch_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/launch"
)

// A launcher that is killed before it has written its state, or a guard that is killed
// while it removes it, leaves the other files.
func TestLeftoverWithoutState(t *testing.T) {
	for _, name := range []string{"x.lock", "x.sock", "x.door", "x.next", "x.spare"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "launches"), 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "launches", name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, look := range []func(string) ([]launch.Leftover, error){launch.Leftovers, launch.Clear} {
			if left, err := look(dir); err != nil || len(left) != 1 || left[0].ID != "x" {
				t.Errorf("%s: left over: %+v, %v", name, left, err)
			}
		}
		mustBeEmpty(t, filepath.Join(dir, "launches"))
	}
}

// While the lock is held a launch is about to begin.
func TestNoLeftoverWhileLocked(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "launches"), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(dir, "launches", "x.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, look := range []func(string) ([]launch.Leftover, error){launch.Leftovers, launch.Clear} {
		if left, err := look(dir); err != nil || len(left) != 0 {
			t.Errorf("left over: %+v, %v", left, err)
		}
	}
}
