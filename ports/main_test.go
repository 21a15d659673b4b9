package ports_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/ports"
)

// roleVar makes a copy of the test binary another launcher.
const roleVar = "RBEE_PORTS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(m.Run())
	case "launcher":
		if err := launcher(os.Args[1:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "child":
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test lets go
	}
}

// launcher is the program of a launcher process: DIR RANGE WANTED [child]. On the
// first line of its input it acquires, writing a port or why not for each lease
// wanted; at the second it releases; at the third it ends.
func launcher(args []string, in io.Reader, out io.Writer) error {
	syscall.Umask(0o077) // a strict one, which must make no difference
	ctx := context.Background()
	r, err := ports.ParseRange(args[1])
	if err != nil {
		return err
	}
	wanted, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Scan()
	var leases []*ports.Lease
	for range wanted {
		lease, err := ports.Acquire(ctx, ports.Config{Range: r, Dir: args[0], Avoid: []int{}})
		var exhausted *ports.ExhaustedError
		switch {
		case err == nil:
			leases = append(leases, lease)
			fmt.Fprintln(out, lease.Port())
		case errors.Is(err, fs.ErrPermission):
			fmt.Fprintln(out, "permission:", err)
		case errors.As(err, &exhausted):
			fmt.Fprintln(out, "exhausted:", err)
		default:
			fmt.Fprintln(out, "error:", err)
		}
	}
	if len(args) > 3 { // a child that outlives us, and must not keep the lease
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), roleVar+"=child")
		child.Stdin, child.Stdout = os.Stdin, os.Stdout
		if err := child.Start(); err != nil {
			return err
		}
		fmt.Fprintln(out, "child:", child.Process.Pid)
	}
	lines.Scan()
	for _, lease := range leases {
		err = errors.Join(err, lease.Release())
	}
	fmt.Fprintln(out, "released")
	lines.Scan()
	return err
}

// proc is a launcher process as the test holds it.
type proc struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startLauncher starts one, which waits for its first line of input. Whatever
// happens, it is gone when the test ends.
func startLauncher(t *testing.T, as *syscall.Credential, args ...string) *proc {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	if as != nil {
		cmd.Path = readableCopy(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		cmd.Dir = "/"
	}
	// The race detector would have each process sleep for a second at its end.
	cmd.Env = append(os.Environ(), roleVar+"=launcher", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe() // not StdoutPipe: the child's end of it must be seen too
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &proc{Cmd: cmd, in: in, out: bufio.NewReader(r)}
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, r) // ends with the last process that writes to it
		_ = r.Close()
		if p.ProcessState == nil {
			_ = cmd.Wait()
		}
	})
	_ = w.Close()
	return p
}

// say sends the launcher on to its next step.
func (p *proc) say(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		t.Fatal(err)
	}
}

// line is the launcher's next line of output.
func (p *proc) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("read from a launcher: %v", err)
	}
	return strings.TrimSpace(line)
}

// port is the launcher's next line, which must be a port.
func (p *proc) port(t *testing.T) int {
	t.Helper()
	line := p.line(t)
	port, err := strconv.Atoi(line)
	if err != nil {
		t.Fatalf("a launcher says %q, want a port", line)
	}
	return port
}

// kill is SIGKILL, and returns when the process is gone.
func (p *proc) kill(t *testing.T) {
	t.Helper()
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // its error is the signal
}

// release lets the launcher release, and returns when it has.
func (p *proc) release(t *testing.T) {
	t.Helper()
	p.say(t)
	if got := p.line(t); got != "released" {
		t.Errorf("a launcher says %q, want that it has released", got)
	}
}

// stop lets the launcher end.
func (p *proc) stop(t *testing.T) {
	t.Helper()
	p.say(t)
	if err := p.Wait(); err != nil {
		t.Errorf("a launcher ends with %v", err)
	}
}

// readableCopy is this test's binary where any user can run it.
func readableCopy(t *testing.T) string {
	t.Helper()
	body, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(openDir(t), "launcher")
	if err := os.WriteFile(path, body, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// openDir is a temporary directory that every user can look into.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rbee-ports-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// freeRange finds n ports in a row that nothing uses, below those that systems
// give to outgoing connections. A lease in the machine's own directory keeps other
// copies of this test away from them.
func freeRange(t *testing.T, n int) ports.Range {
	t.Helper()
	const block, first, blocks = 128, 30000, 21 // away from the ports of other packages' tests
	if n >= block {
		t.Fatalf("a range of %d ports is more than a block of %d", n, block)
	}
	start := rand.IntN(blocks)
	for i := range blocks {
		base := first + (start+i)%blocks*block
		guard, err := ports.AcquirePort(t.Context(), ports.Config{}, base)
		if err != nil {
			continue
		}
		r := ports.Range{First: base + 1, Last: base + n}
		if allFree(t.Context(), r) {
			t.Cleanup(func() {
				if err := guard.Release(); err != nil {
					t.Error(err)
				}
			})
			return r
		}
		if err := guard.Release(); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("no %d free ports in a row on this machine", n)
	return ports.Range{}
}

// allFree is strict: not even closed connections may linger there.
func allFree(ctx context.Context, r ports.Range) bool {
	strict := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var setErr error
		err := conn.Control(func(fd uintptr) {
			setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		})
		return errors.Join(err, setErr)
	}}
	for port := r.First; port <= r.Last; port++ {
		ln, err := strict.Listen(ctx, "tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		_ = ln.Close()
	}
	return true
}

// lockDir is a lock directory of the test's own, yet to be made.
func lockDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "leases")
}

// mustBeEmpty says what was left behind.
func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s is left in the lock directory", f.Name())
	}
}
