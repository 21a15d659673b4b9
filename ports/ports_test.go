package ports_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	psnet "github.com/shirou/gopsutil/v3/net"

	"github.com/rbee-launch/rbee-launch/ports"
)

// acquire leases a port until the test ends, at the latest.
func acquire(t *testing.T, cfg ports.Config) *ports.Lease {
	t.Helper()
	lease, err := ports.Acquire(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lease.Release(); err != nil {
			t.Error(err)
		}
	})
	return lease
}

// listen is a stranger on a port.
func listen(t *testing.T, network, host string, port int) {
	t.Helper()
	ln, err := net.Listen(network, net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
}

func TestAcquireGoesFromLowToHigh(t *testing.T) {
	r, dir := freeRange(t, 4), lockDir(t)
	cfg := ports.Config{Range: r, Dir: dir, Avoid: []int{r.First}}
	listen(t, "tcp4", "127.0.0.1", r.First+1)

	first, second := acquire(t, cfg), acquire(t, cfg)
	if first.Port() != r.First+2 || second.Port() != r.First+3 {
		t.Errorf("got %d and %d, want %d and %d", first.Port(), second.Port(), r.First+2, r.First+3)
	}
	for range 2 { // the second is to do nothing
		if err := first.Release(); err != nil {
			t.Error(err)
		}
	}
	if again := acquire(t, cfg); again.Port() != r.First+2 {
		t.Errorf("after a release: got %d, want %d", again.Port(), r.First+2)
	}
}

func TestReleaseLeavesNothing(t *testing.T) {
	dir := lockDir(t)
	lease := acquire(t, ports.Config{Range: freeRange(t, 1), Dir: dir})
	info, err := os.Stat(filepath.Join(dir, strconv.Itoa(lease.Port())+".lock"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o666 {
		t.Errorf("the lock file's mode is %v, others could not lock it", info.Mode())
	}
	if info, err = os.Stat(dir); err != nil || info.Mode() != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("the lock directory's mode is %v, %v", info.Mode(), err)
	}
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
	mustBeEmpty(t, dir)
}

// TestReleaseSparesAnothersFile: someone cleans the directory, and another launcher
// makes a file of the same name.
func TestReleaseSparesAnothersFile(t *testing.T) {
	r, dir := freeRange(t, 1), lockDir(t)
	cfg := ports.Config{Range: r, Dir: dir}
	first := acquire(t, cfg)
	if err := os.Remove(filepath.Join(dir, strconv.Itoa(r.First)+".lock")); err != nil {
		t.Fatal(err)
	}
	acquire(t, cfg)
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	var exhausted *ports.ExhaustedError
	if _, err := ports.Acquire(t.Context(), cfg); !errors.As(err, &exhausted) {
		t.Errorf("the second lease is gone: error %v, want an *ExhaustedError", err)
	}
}

func TestExhausted(t *testing.T) {
	r := freeRange(t, 5)
	cfg := ports.Config{Range: r, Dir: lockDir(t)}
	listen(t, "tcp", "", r.First)
	for port := r.First + 1; port <= r.Last; port++ {
		acquire(t, cfg)
	}
	_, err := ports.Acquire(t.Context(), cfg)
	var exhausted *ports.ExhaustedError
	if !errors.As(err, &exhausted) || exhausted.Range != r || len(exhausted.Holders) != 5 {
		t.Fatalf("error %#v, want an *ExhaustedError with five holders", err)
	}
	me := fmt.Sprintf("(pid %d)", os.Getpid())
	want := fmt.Sprintf("lease a port in %s: all 5 are taken: %d ports.test %s, %d leased by ports.test %s, %d leased by ports.test %s, ... and 2 more",
		r, r.First, me, r.First+1, me, r.First+2, me)
	if err.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
}

func TestAcquirePort(t *testing.T) {
	r := freeRange(t, 2)
	cfg := ports.Config{Range: r, Dir: lockDir(t), Avoid: []int{r.Last}}
	lease, err := ports.AcquirePort(t.Context(), cfg, r.Last) // asked for, so not avoided
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	listen(t, "tcp4", "127.0.0.1", r.First)
	me := fmt.Sprintf("ports.test (pid %d)", os.Getpid())
	for port, want := range map[int]string{
		r.First: fmt.Sprintf("lease port %d: taken by %s", r.First, me),
		r.Last:  fmt.Sprintf("lease port %d: leased by %s", r.Last, me),
	} {
		_, err := ports.AcquirePort(t.Context(), cfg, port)
		var taken *ports.TakenError
		if !errors.As(err, &taken) || taken.Holder.Port != port || err.Error() != want {
			t.Errorf("error %v, want a *TakenError: %s", err, want)
		}
	}
	if _, err := ports.AcquirePort(t.Context(), cfg, 70000); err == nil {
		t.Error("port 70000 is leased")
	}
}

func TestLeases(t *testing.T) {
	r := freeRange(t, 5)
	cfg := ports.Config{Range: r, Dir: lockDir(t)}
	if held, err := ports.Leases(t.Context(), cfg); err != nil || len(held) != 0 {
		t.Fatalf("before: %v, %v, want none", held, err)
	}
	leaseOnly, leaseAndListener := acquire(t, cfg), acquire(t, cfg)
	listen(t, "tcp4", "127.0.0.1", leaseAndListener.Port())
	listen(t, "tcp4", "127.0.0.1", r.Last)

	me := ports.Process{PID: os.Getpid(), Program: "ports.test"}
	want := []ports.Holder{
		{Port: leaseOnly.Port(), Leased: true, Launcher: me},
		{Port: leaseAndListener.Port(), Leased: true, Launcher: me, Listening: true, Listener: me},
		{Port: r.Last, Listening: true, Listener: me},
	}
	got, err := ports.Leases(t.Context(), cfg)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v, want %v", got, err, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := ports.Config{Range: freeRange(t, 2), Dir: lockDir(t)}
	if _, err := ports.Acquire(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire: error %v, want context.Canceled", err)
	}
	if _, err := ports.AcquirePort(ctx, cfg, cfg.Range.First); !errors.Is(err, context.Canceled) {
		t.Errorf("AcquirePort: error %v, want context.Canceled", err)
	}
	if _, err := ports.Leases(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Leases: error %v, want context.Canceled", err)
	}
}

func TestUnsafeDirectories(t *testing.T) {
	base := t.TempDir()
	path := func(name string) string { return filepath.Join(base, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(path("open"), 0o777))
	must(os.Chmod(path("open"), 0o777))
	must(os.Mkdir(path("private"), 0o700))
	must(os.Symlink(path("private"), path("link")))
	must(os.Symlink(path("nowhere"), path("dangling")))
	must(os.WriteFile(path("file"), nil, 0o600))
	for name, want := range map[string]string{
		"open":     "others may write to it and it is not sticky",
		"link":     "symbolic link",
		"dangling": "symbolic link",
		"file":     "not a directory",
		"a/b":      "make the lock directory",
		"private":  "", // for one user alone there is nothing to guard against
	} {
		lease, err := ports.Acquire(t.Context(), ports.Config{Range: freeRange(t, 1), Dir: path(name)})
		switch {
		case err == nil:
			must(lease.Release())
			if want != "" {
				t.Errorf("%s: accepted as a lock directory", name)
			}
		case want == "" || !strings.Contains(err.Error(), want):
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
	}
	if _, err := os.Lstat(path("nowhere")); err == nil {
		t.Error("a symbolic link was followed")
	}
}

// TestUnsafeFiles: a trap in one lock file's place costs one port, not the range.
func TestUnsafeFiles(t *testing.T) {
	r, dir := freeRange(t, 4), lockDir(t)
	cfg := ports.Config{Range: r, Dir: dir}
	if _, err := ports.Leases(t.Context(), cfg); err != nil { // makes the directory
		t.Fatal(err)
	}
	file := func(i int) string { return filepath.Join(dir, strconv.Itoa(r.First+i)+".lock") }
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(
		os.WriteFile(victim, []byte("precious"), 0o666),
		os.Symlink(victim, file(0)),
		syscall.Mkfifo(file(1), 0o666),
		os.Mkdir(file(2), 0o777),
	); err != nil {
		t.Fatal(err)
	}
	if lease := acquire(t, cfg); lease.Port() != r.Last {
		t.Errorf("got port %d, want %d", lease.Port(), r.Last)
	}
	_, err := ports.Acquire(t.Context(), cfg)
	var exhausted *ports.ExhaustedError
	if !errors.As(err, &exhausted) || len(exhausted.Holders) != 1 || !errors.Is(err, syscall.ELOOP) {
		t.Errorf("error %v, want an *ExhaustedError that tells of the symbolic link", err)
	}
	if body, err := os.ReadFile(victim); err != nil || string(body) != "precious" {
		t.Errorf("the file behind the link now holds %q, %v", body, err)
	}
}

// TestBoundWithoutListening: a server may bind early and listen late, and a plain
// listen succeeds in between.
func TestBoundWithoutListening(t *testing.T) {
	for _, tc := range []struct {
		name  string
		addr  syscall.Sockaddr
		reuse int
	}{
		{"loopback", &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 0},
		{"loopback, reusable", &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 1},
		{"wildcard, reusable", &syscall.SockaddrInet4{}, 1},
		{"another loopback address", &syscall.SockaddrInet4{Addr: [4]byte{127, 9, 9, 9}}, 1},
		{"IPv6 loopback", &syscall.SockaddrInet6{Addr: [16]byte{15: 1}}, 1},
		{"IPv6 wildcard", &syscall.SockaddrInet6{}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := freeRange(t, 2)
			bindOnly(t, tc.addr, r.First, tc.reuse)
			if lease := acquire(t, ports.Config{Range: r, Dir: lockDir(t)}); lease.Port() != r.Last {
				t.Errorf("got port %d, which a socket is bound to", lease.Port())
			}
		})
	}
}

// bindOnly is a stranger that has bound port and does not listen.
func bindOnly(t *testing.T, addr syscall.Sockaddr, port, reuse int) {
	t.Helper()
	family := syscall.AF_INET
	switch a := addr.(type) {
	case *syscall.SockaddrInet4:
		a.Port = port
	case *syscall.SockaddrInet6:
		a.Port = port
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Skipf("no such sockets here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	syscall.CloseOnExec(fd)
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, reuse); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, addr); errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Skipf("no such address here: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// TestClosedConnections: what lingers of a server that has ended (TIME_WAIT) does
// not keep its port from the next; a connection that is open does.
func TestClosedConnections(t *testing.T) {
	r := freeRange(t, 1)
	cfg := ports.Config{Range: r, Dir: lockDir(t)}
	addr := net.JoinHostPort("127.0.0.1", r.String())
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_ = ln.Close()

	var exhausted *ports.ExhaustedError
	if _, err := ports.Acquire(t.Context(), cfg); !errors.As(err, &exhausted) {
		t.Errorf("with an open connection: error %v, want an *ExhaustedError", err)
	}

	_ = server.Close() // the side that closes first is the one that lingers
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	acquireAndRelease(t, cfg, "half closed") // FIN_WAIT2
	_ = client.Close()
	for !lingers(t, r.First) {
		if t.Context().Err() != nil {
			t.Fatal("the connection never got to TIME_WAIT")
		}
	}
	acquireAndRelease(t, cfg, "in TIME_WAIT")
}

func acquireAndRelease(t *testing.T, cfg ports.Config, when string) {
	t.Helper()
	lease, err := ports.Acquire(t.Context(), cfg)
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	if err := lease.Release(); err != nil {
		t.Error(err)
	}
}

// lingers asks the system itself whether port is in TIME_WAIT.
func lingers(t *testing.T, port int) bool {
	t.Helper()
	table, err := psnet.ConnectionsWithContext(t.Context(), "tcp")
	if err != nil {
		return false // a process ended while the table was read
	}
	for _, c := range table {
		if int(c.Laddr.Port) == port && c.Status == "TIME_WAIT" {
			return true
		}
	}
	return false
}
