package ports_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/ports"
)

// TestManyLaunchers is the package's promise: 200 leases wanted by 50 processes in a
// range of 121 ports. Never two on one port, never a free port refused.
func TestManyLaunchers(t *testing.T) {
	const launchers, each, size = 50, 4, 121
	r, dir := freeRange(t, size), lockDir(t)
	procs := make([]*proc, launchers)
	for i := range procs {
		procs[i] = startLauncher(t, nil, dir, r.String(), strconv.Itoa(each))
	}
	for _, p := range procs {
		p.say(t)
	}
	holder := map[int]int{}
	refused := 0
	for i, p := range procs {
		for range each {
			line := p.line(t)
			port, err := strconv.Atoi(line)
			if err != nil {
				if !strings.HasPrefix(line, "exhausted:") {
					t.Errorf("launcher %d says %q", i, line)
				}
				refused++
				continue
			}
			if other, twice := holder[port]; twice {
				t.Errorf("launchers %d and %d both hold port %d", other, i, port)
			}
			if port < r.First || port > r.Last {
				t.Errorf("port %d is outside %s", port, r)
			}
			holder[port] = i
		}
	}
	if len(holder) != size || refused != launchers*each-size {
		t.Errorf("%d leases given and %d refused, want %d and %d", len(holder), refused, size, launchers*each-size)
	}
	for _, p := range procs {
		p.release(t)
	}
	for _, p := range procs {
		p.stop(t)
	}
	mustBeEmpty(t, dir)
}

// TestKilledLauncher: the kernel gives the port back, even while a child of the
// launcher lives on.
func TestKilledLauncher(t *testing.T) {
	r, dir := freeRange(t, 1), lockDir(t)
	cfg := ports.Config{Range: r, Dir: dir}
	p := startLauncher(t, nil, dir, r.String(), "1", "child")
	p.say(t)
	if got := p.port(t); got != r.First {
		t.Fatalf("the launcher got %d, want %d", got, r.First)
	}
	child, err := strconv.Atoi(strings.TrimPrefix(p.line(t), "child: "))
	if err != nil {
		t.Fatal(err)
	}

	_, err = ports.Acquire(t.Context(), cfg)
	var exhausted *ports.ExhaustedError
	if !errors.As(err, &exhausted) {
		t.Fatalf("while it is held: error %v, want an *ExhaustedError", err)
	}
	if got := exhausted.Holders[0]; !got.Leased || got.Launcher.PID != p.Process.Pid {
		t.Errorf("the holder is %+v, want pid %d", got, p.Process.Pid)
	}

	p.kill(t)
	if err := syscall.Kill(child, 0); err != nil {
		t.Fatalf("the child is gone too: %v", err)
	}
	if held, err := ports.Leases(t.Context(), cfg); err != nil || len(held) != 0 {
		t.Errorf("after the kill: leases %v, %v, want none", held, err)
	}
	lease, err := ports.Acquire(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
	mustBeEmpty(t, dir)
}

// nobody is a user with no rights to anything of ours.
func nobody(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can start a launcher of another user")
	}
	return &syscall.Credential{Uid: 65534, Gid: 65534}
}

func TestOtherUsersLauncher(t *testing.T) {
	as := nobody(t)
	dir := filepath.Join(openDir(t), "leases")
	r := freeRange(t, 2)

	ours := startLauncher(t, nil, dir, r.String(), "1")
	ours.say(t)
	if got := ours.port(t); got != r.First {
		t.Fatalf("the first launcher got %d, want %d", got, r.First)
	}
	theirs := startLauncher(t, as, dir, r.String(), "1")
	theirs.say(t)
	if got := theirs.port(t); got != r.Last {
		t.Fatalf("the other user's launcher got %d, want %d", got, r.Last)
	}
	theirs.release(t)
	theirs.stop(t)

	// Killed, ours leaves a file behind that the other user may lock, not remove.
	ours.kill(t)
	theirs = startLauncher(t, as, dir, r.String(), "1")
	theirs.say(t)
	if got := theirs.port(t); got != r.First {
		t.Fatalf("with a left-over file, the other user's launcher got %d, want %d", got, r.First)
	}
	cfg := ports.Config{Range: r, Dir: dir}
	held, err := ports.Leases(t.Context(), cfg)
	if err != nil || len(held) != 1 || held[0].Launcher.PID != theirs.Process.Pid {
		t.Errorf("leases %v, %v, want one of pid %d", held, err, theirs.Process.Pid)
	}
	theirs.release(t)
	if held, err = ports.Leases(t.Context(), cfg); err != nil || len(held) != 0 {
		t.Errorf("after the release: leases %v, %v, want none", held, err)
	}
	theirs.stop(t)
}

// TestForeignFile: a file that was left by a user who isn't there any more.
func TestForeignFile(t *testing.T) {
	as := nobody(t)
	dir := filepath.Join(openDir(t), "leases")
	r := freeRange(t, 1)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, strconv.Itoa(r.First)+".lock")
	if err := os.WriteFile(path, []byte("anything"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{dir: 0o777 | fs.ModeSticky, path: 0o666} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	p := startLauncher(t, as, dir, r.String(), "1")
	p.say(t)
	if got := p.port(t); got != r.First {
		t.Errorf("got port %d, want %d", got, r.First)
	}
	p.release(t)
	p.stop(t)
}

func TestPrivilegedPort(t *testing.T) {
	if body, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil &&
		strings.TrimSpace(string(body)) != "1024" {
		t.Skip("this system has no privileged ports, or others")
	}
	var as *syscall.Credential
	if os.Getuid() == 0 {
		as = nobody(t)
	}
	dir := filepath.Join(openDir(t), "leases")
	if _, err := ports.Leases(t.Context(), ports.Config{Dir: dir}); err != nil { // makes the directory
		t.Fatal(err)
	}
	p := startLauncher(t, as, dir, "1-3", "1")
	p.say(t)
	if got := p.line(t); !strings.HasPrefix(got, "permission: lease a port in 1-3: port 1: ports below 1024") {
		t.Errorf("the launcher says %q", got)
	}
	p.release(t)
	p.stop(t)
}
