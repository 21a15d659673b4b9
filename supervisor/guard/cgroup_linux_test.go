package guard_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// Where a process is found, as machines and containers show it.
func TestCgroupFolders(t *testing.T) {
	t.Parallel()
	const v1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	for name, test := range map[string]struct {
		mounts, path string
		want         []string
	}{
		"systemd":         {v2, "/user.slice/user-0.slice/session-3.scope", []string{"/sys/fs/cgroup/user.slice/user-0.slice/session-3.scope"}},
		"hybrid":          {v1 + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", "/", []string{"/sys/fs/cgroup/unified"}},
		"version 1 alone": {v1, "", nil},
		"a container with a namespace of its own":     {v2, "/", []string{"/sys/fs/cgroup"}},
		"a container that shares the host's":          {"30 23 0:26 /docker/4f /sys/fs/cgroup ro - cgroup2 cgroup ro\n", "/docker/4f/x", []string{"/sys/fs/cgroup/x"}},
		"a mount that does not show it":               {"30 23 0:26 /docker/4f /sys/fs/cgroup ro - cgroup2 cgroup ro\n", "/system.slice", nil},
		"a process outside its namespace":             {v2, "/../system.slice", nil},
		"a mount that was made outside the namespace": {"30 23 0:26 /.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "/", nil},
		"two mounts":                 {v2 + "90 23 0:26 / /mnt/a\\040b rw shared:1 - cgroup2 cgroup2 rw\n", "/a", []string{"/sys/fs/cgroup/a", "/mnt/a b/a"}},
		"a mount that is cut short":  {"30 23 0:26 - cgroup2\n", "/", nil},
		"a process that has no path": {v2, "", nil},
	} {
		if got := guard.CgroupFolders(test.mounts, test.path); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func needCgroups(t *testing.T) string {
	t.Helper()
	folder, err := guard.Cgroup()
	if err != nil {
		t.Skip("this machine has no cgroup to write in: ", err)
	}
	return folder
}

// Who forks all the time holds still, can be told, and can be killed.
func TestFreeze(t *testing.T) {
	t.Parallel()
	needCgroups(t)
	c, out := spawn(t, start(t), `echo up; while :; do (exec sleep 0) & done`)
	line(t, out)
	guard.Freeze(c)
	first := c.Pids()
	for range 100 {
		if now := c.Pids(); !slices.Equal(now, first) {
			t.Fatalf("there were %v, now there are %v", first, now)
		}
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.Gone()
}

func TestChildHasACgroup(t *testing.T) {
	t.Parallel()
	folder := needCgroups(t)
	g := start(t)
	c, out := spawn(t, g, `sleep 1000 & setsid sleep 1000 & echo up; wait`)
	line(t, out)
	dir := c.Cgroup()
	want := fmt.Sprintf("%s/rbee-guard.%d.%d/1", folder, g.PID(), g.Process().Start)
	if dir != want {
		t.Fatalf("its cgroup is %q, want %q", dir, want)
	}
	inside := filepath.Join(dir, "made by the child")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range c.Pids() {
		if !slices.Contains(strings.Fields(string(procs)), fmt.Sprint(pid)) {
			t.Errorf("pid %d is not in it: %q", pid, procs)
		}
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.Gone()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cgroup outlives its child: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cgroup outlives its guard: %v", err)
	}
}

func TestChildWithoutACgroup(t *testing.T) {
	t.Parallel()
	g := startIn(t, "without")
	c, out := spawn(t, g, "echo up; exec sleep 1000")
	line(t, out)
	if c.Cgroup() != "" {
		t.Errorf("it has the cgroup %q", c.Cgroup())
	}
}

// A program that can't be started must be told from a cgroup that can't be used.
func TestFailedStartKeepsCgroups(t *testing.T) {
	t.Parallel()
	needCgroups(t)
	g := start(t)
	for range 2 {
		if _, err := g.Spawn(t.Context(), guard.Command{Path: "/nowhere/at/all"}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing program: %v", err)
		}
	}
	c, out := spawn(t, g, "echo up; exec sleep 1000")
	line(t, out)
	if c.Cgroup() == "" {
		t.Error("a child after failures has no cgroup")
	}
}

// What guards leave that are killed with their programs goes with the next guard.
func TestCgroupsOfDeadGuardsAreCleared(t *testing.T) {
	t.Parallel()
	folder := needCgroups(t)
	left := filepath.Join(folder, fmt.Sprintf("rbee-guard.%d.1", os.Getpid())) // its pid is in use, its start is not
	for {
		err := os.MkdirAll(filepath.Join(left, "1"), 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) { // another test's guard clears it meanwhile
			t.Fatal(err)
		}
	}
	g := start(t)
	c, out := spawn(t, g, "echo up; exec sleep 1000")
	line(t, out)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	<-c.Gone()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
		_ = syscall.Rmdir(filepath.Join(left, "1"))
		_ = syscall.Rmdir(left)
	}
}
