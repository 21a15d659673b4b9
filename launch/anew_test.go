package launch_test

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
)

// listed waits until a launch is the one that is listed, and takes commands.
func listed(t *testing.T, dir string, status launch.Status) launch.Launch {
	t.Helper()
	var all []launch.Launch
	eventually(t, "it is listed as "+string(status), func() bool {
		var err error
		if all, err = launch.List(dir); err != nil || len(all) != 1 || all[0].Status != status {
			return false
		}
		r, err := launch.Open(dir, all[0].ID)
		if err != nil {
			return false
		}
		defer r.Close()
		_, err = r.Inspect(t.Context())
		return err == nil
	})
	return all[0]
}

// vanish takes a file or a folder away in one step: what is removed file by file may be
// written to meanwhile.
func vanish(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, filepath.Join(t.TempDir(), "vanished")); err != nil {
		t.Fatal(err)
	}
}

// TestRecordVanishes: whatever of a record is gone is made anew, and the launch is listed, and
// stopped, as if nothing had been.
func TestRecordVanishes(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]string{
		"all": ".", "the launches": "launches", "the lock": "launches/one.lock",
		"the state": "launches/one.json", "the socket": "launches/one.sock",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.ID, cfg.RuntimeDir, cfg.OnOrphan, cfg.Detached = "one", filepath.Join(t.TempDir(), "run"), launch.KeepOrphan, true
			r := start(t, cfg)
			pid := r.await(launch.Ready).PID
			vanish(t, filepath.Join(cfg.RuntimeDir, gone))
			path := filepath.Join(cfg.RuntimeDir, "launches", "one.lock")
			eventually(t, "it is locked again", func() bool {
				f, err := os.Open(path)
				if err != nil {
					return false
				}
				defer f.Close()
				return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
			})
			if l := listed(t, cfg.RuntimeDir, launch.IsReady); l.PID != pid {
				t.Errorf("listed as %+v, want pid %d", l, pid)
			}
			for _, dir := range []string{cfg.RuntimeDir, filepath.Dir(path)} {
				if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("%s: %v, %v", dir, info, err)
				}
			}
			var inUse *launch.InUseError
			if err := launch.Run(t.Context(), cfg); !errors.As(err, &inUse) {
				t.Errorf("another launch of its id: %v", err)
			}
			if err := launch.Stop(t.Context(), cfg.RuntimeDir, "one", launch.StopOptions{}, nil); err != nil {
				t.Error(err)
			}
			if err := r.wait(); err != nil || !isGone(pid) {
				t.Errorf("it ended with %v; the child is gone: %v", err, isGone(pid))
			}
			mustBeEmpty(t, filepath.Dir(path))
		})
	}
}

// TestCrashWithoutRecord: a child that crashes in the moment in which the folder is gone is
// restarted, and can be adopted.
func TestCrashWithoutRecord(t *testing.T) {
	t.Parallel()
	dir, reg := filepath.Join(t.TempDir(), "run"), startRegistry(t, "127.0.0.1:0")
	cmd, pid := startLauncher(t, dir, reg.url, "restarts")
	vanish(t, filepath.Join(dir, "launches"))
	signalTo(t, pid, syscall.SIGKILL)
	l := listed(t, dir, launch.IsReady)
	if l.PID == pid || l.Restarts != 1 || l.SupervisorPID != cmd.Process.Pid {
		t.Errorf("listed as %+v, want another pid than %d, of the launcher %d", l, pid, cmd.Process.Pid)
	}
	eventually(t, "the guard has a door", func() bool {
		_, err := os.Stat(filepath.Join(dir, "launches", "of-another.door"))
		return err == nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	r := start(t, adopting(t, dir, reg))
	if e := r.await(launch.Adopted); e.PID != l.PID || e.InstanceID != l.InstanceID {
		t.Errorf("adopted: %+v, which was %+v", e, l)
	}
	r.end()
	mustBeEmpty(t, filepath.Join(dir, "launches"))
}

// TestCrashWithoutRoom: where no folder can be made either, a launch goes on all the same, and
// is listed once there is one.
func TestCrashWithoutRoom(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Detached, cfg.Restart.When = "one", filepath.Join(t.TempDir(), "run"), true, "always"
	r := start(t, cfg)
	pid := r.await(launch.Ready).PID
	vanish(t, cfg.RuntimeDir)
	if err := os.WriteFile(cfg.RuntimeDir, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	signalTo(t, pid, syscall.SIGKILL)
	next := r.await(launch.Ready).PID
	vanish(t, cfg.RuntimeDir)
	if l := listed(t, cfg.RuntimeDir, launch.IsReady); l.PID != next || next == pid {
		t.Errorf("listed as %+v, want pid %d", l, next)
	}
	r.end()
	mustBeEmpty(t, filepath.Join(cfg.RuntimeDir, "launches"))
}

// warnings keeps what is logged.
type warnings struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *warnings) has(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.text.String(), text)
}

// TestIDTakenMeanwhile: a launch whose id another has taken in the new folder leaves that one
// alone, says so, and is listed again when the other has ended.
func TestIDTakenMeanwhile(t *testing.T) {
	t.Parallel()
	var log warnings
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Restart.When = "x", filepath.Join(t.TempDir(), "run"), "always"
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := start(t, cfg)
	pid := r.await(launch.Ready).PID

	other := standIn(t, func(http.ResponseWriter, *http.Request) {})
	vanish(t, cfg.RuntimeDir)
	if err := os.Rename(other, cfg.RuntimeDir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says so", func() bool { return log.has("the id x is another launch's") })
	signalTo(t, pid, syscall.SIGKILL)
	pid = r.await(launch.Ready).PID
	if l := onlyLaunch(t, cfg.RuntimeDir); l.PID != 0 {
		t.Errorf("listed as %+v, want the other, which runs nothing", l)
	}
	vanish(t, cfg.RuntimeDir) // the other, too
	if l := listed(t, cfg.RuntimeDir, launch.IsReady); l.PID != pid {
		t.Errorf("listed as %+v, want pid %d", l, pid)
	}
	r.end()
	mustBeEmpty(t, filepath.Join(cfg.RuntimeDir, "launches"))
}

// TestLeaseVanishes: a port whose lease is gone with its folder is leased again.
func TestLeaseVanishes(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Ports.Dir = filepath.Join(t.TempDir(), "leases")
	cfg.Port = leasedPort(t)
	r := start(t, cfg)
	port := r.await(launch.Ready).Port
	vanish(t, cfg.Ports.Dir)
	eventually(t, "the port is leased", func() bool {
		all, err := ports.Leases(t.Context(), ports.Config{Range: ports.Range{First: port, Last: port}, Dir: cfg.Ports.Dir})
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && all[0].Leased
	})
	r.end()
	mustBeEmpty(t, cfg.Ports.Dir)
}

// TestUpgradeWithoutRecord: a program by which nothing can go on does not go.
func TestUpgradeWithoutRecord(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Replaceable = "one", t.TempDir(), true
	r := start(t, cfg)
	r.await(launch.Ready)
	remote, err := launch.Open(cfg.RuntimeDir, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	if _, err := remote.Inspect(t.Context()); err != nil { // so that it is connected
		t.Fatal(err)
	}
	lock := filepath.Join(cfg.RuntimeDir, "launches", "one.lock")
	for _, err := range []error{os.Remove(lock), os.MkdirAll(filepath.Join(lock, "in the way"), 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := remote.Upgrade(t.Context(), executable(t)); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("upgraded: %v", err)
	}
	vanish(t, lock)
	listed(t, cfg.RuntimeDir, launch.IsReady)
	r.end()
}
