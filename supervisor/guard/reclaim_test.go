package guard_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// killBoth starts a program whose child runs script, and kills it and its guard before
// either can do anything about it. What the child prints ends with the last of its tree.
func killBoth(t *testing.T, script, way string) (guard.Traces, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programEnv+"="+script, wayEnv+"="+way)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var left guard.Traces
	if err := json.NewDecoder(stderr).Decode(&left); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	line(t, out)
	// A guard that runs might be quick enough to kill on.
	if err := errors.Join(proctest.Signal(left.Guard.PID, syscall.SIGSTOP), cmd.Process.Kill(), syscall.Kill(left.Guard.PID, syscall.SIGKILL)); err != nil {
		t.Fatal(err)
	}
	// Where the tests have started a guard they inherit this one; else PID 1 does.
	_, _ = syscall.Wait4(left.Guard.PID, nil, 0, nil)
	t.Cleanup(func() { _ = cmd.Wait() }) // closes the pipes
	return left, out
}

// reclaim waits for the guard's death, which takes effect when the kernel gets to it.
func reclaim(t *testing.T, left guard.Traces) []guard.Killed {
	t.Helper()
	for {
		killed, err := guard.Reclaim(left)
		if errors.Is(err, guard.ErrGuarded) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return killed
	}
}

func TestReclaim(t *testing.T) {
	forEachFamily(t, func(t *testing.T, script, way string) {
		skipUntraceable(t, script, way)
		left, out := killBoth(t, script, way)
		killed := reclaim(t, left)
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Fatal(err)
		}
		named := func(k guard.Killed) bool { return k.PID > 1 && k.Command != "" }
		if strings.Contains(script, "setsid") && !slices.ContainsFunc(killed, named) {
			t.Errorf("it killed %v, though some had a session of their own", killed)
		}
		if again := reclaim(t, left); len(again) > 0 {
			t.Errorf("a second time it killed %v", again)
		}
		if left.Cgroup != "" {
			if _, err := os.Stat(filepath.Dir(left.Cgroup)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", filepath.Dir(left.Cgroup), err)
			}
		}
	})
}

// veilEnv has a test program go without an environment for a while.
const veilEnv = "GUARD_TEST_VEIL"

func init() { // which runs on the process's first thread
	if os.Getenv(veilEnv) != "" {
		goVeiled()
	}
}

// goVeiled is a process of which nothing can be seen for 0.3 s, as it is with one that
// executes a program on a busy machine: its first thread has ended, and another one
// executes a program then.
func goVeiled() {
	first := fmt.Sprintf("/proc/self/task/%d/stat", os.Getpid())
	go func() {
		for {
			if stat, err := os.ReadFile(first); err != nil || strings.Contains(string(stat), ") Z ") {
				break
			}
			time.Sleep(time.Millisecond)
		}
		fmt.Println("up")
		time.Sleep(300 * time.Millisecond)
		panic(syscall.Exec("/bin/sleep", []string{"sleep", "1000"}, os.Environ()))
	}()
	_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0)
}

// One that can't be told yet is waited for.
func TestReclaimVeiled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a descendant in a session of its own is found on Linux only")
	}
	t.Parallel()
	left, out := killBoth(t, fmt.Sprintf("%s=1 setsid %s & sleep 1000", veilEnv, os.Args[0]), "without")
	reclaim(t, left)
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Fatal(err)
	}
}

// What a guard itself is known by, before it has a child, does for all of them.
func TestReclaimAllOfAGuard(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a descendant in a session of its own is found on Linux only")
	}
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			left, out := killBoth(t, families["leader leaves"], way)
			left.Number, left.Child = 0, guard.Process{}
			if left.Cgroup != "" {
				left.Cgroup = filepath.Dir(left.Cgroup)
			}
			reclaim(t, left)
			if _, err := io.Copy(io.Discard, out); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestTracesOfAGuard(t *testing.T) {
	t.Parallel()
	g := start(t)
	c, _ := spawn(t, g, "exec sleep 1000")
	want := c.Traces()
	if want.Child != (guard.Process{PID: c.PID(), Start: c.Start()}) || want.Cgroup != c.Cgroup() || want.Guard != g.Process() {
		t.Errorf("the child's traces are %+v", want)
	}
	want.Number, want.Child = 0, guard.Process{}
	if want.Cgroup != "" {
		want.Cgroup = filepath.Dir(want.Cgroup)
		if got := g.Traces(); got != want {
			t.Errorf("the guard's traces are %+v, want %+v", got, want)
		}
	}
}

// A process that has the pid, the session and nearly the mark of a child is not the child.
func TestReclaimSparesStrangers(t *testing.T) {
	t.Parallel()
	g := start(t)
	left := g.Traces()
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command("sleep", "1000")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stranger.Env = append(os.Environ(), "RBEE_GUARD_CHILD=1.1.1")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	left.Number, left.Child, left.Cgroup = 1, guard.Process{PID: stranger.Process.Pid, Start: 1}, ""
	if killed := reclaim(t, left); len(killed) > 0 {
		t.Errorf("it killed %v", killed)
	}
	if err := stranger.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := stranger.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Error("the stranger did not live until it was killed here:", err)
	}
}

func TestReclaimRefuses(t *testing.T) {
	t.Parallel()
	g := start(t)
	c, out := spawn(t, g, "echo up; exec sleep 1000")
	line(t, out)
	if _, err := guard.Reclaim(c.Traces()); !errors.Is(err, guard.ErrGuarded) {
		t.Errorf("while the guard runs: %v", err)
	}
	dead := start(t)
	left := dead.Traces()
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*guard.Traces){
		"another's cgroup":       func(t *guard.Traces) { t.Number, t.Cgroup = 1, "/sys/fs/cgroup/user.slice" },
		"another child's cgroup": func(t *guard.Traces) { t.Number, t.Cgroup = 1, filepath.Join(t.Cgroup, "2") },
		"no guard":               func(t *guard.Traces) { t.Guard = guard.Process{} },
	} {
		bad := left
		change(&bad)
		if killed, err := guard.Reclaim(bad); err == nil {
			t.Errorf("%s: no error, and it killed %v", what, killed)
		}
	}
	other := c.Traces()
	other.Boot = "another"
	if killed, err := guard.Reclaim(other); err != nil || len(killed) > 0 {
		t.Errorf("of another boot: it killed %v, %v", killed, err)
	}
	if !slices.Contains(c.Pids(), c.PID()) {
		t.Error("the child is gone")
	}
}
