package lockfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
)

func try(t *testing.T, path string) (*lockfile.File, error) {
	t.Helper()
	return lockfile.Try(path, os.O_RDWR|os.O_CREATE, 0o600)
}

func TestTryIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := try(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := try(t, path); !errors.Is(err, lockfile.ErrLocked) {
		t.Fatalf("a second lock: %v, %v", second, err)
	}
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	third, err := try(t, path)
	if err != nil {
		t.Fatalf("after the unlock: %v", err)
	}
	defer third.Unlock()
}

// A lock whose descriptor another has, too, lives until both are closed or one unlocks.
func TestInherited(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := try(t, path)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(first.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	heir := lockfile.Inherited(os.NewFile(uintptr(fd), path))
	if err := first.File().Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := try(t, path); !errors.Is(err, lockfile.ErrLocked) {
		t.Fatalf("with one of two descriptors closed: %v", err)
	}
	if err := heir.Unlock(); err != nil {
		t.Fatal(err)
	}
	last, err := try(t, path)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Unlock()
}

func TestIsAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := try(t, path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	is := func(want bool) {
		t.Helper()
		if got, err := lock.IsAt(path); err != nil || got != want {
			t.Errorf("at its path: %v, %v, not %v", got, err, want)
		}
	}
	is(true)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	is(false)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	is(false)
}
