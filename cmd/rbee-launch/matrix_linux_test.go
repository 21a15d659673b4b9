package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// roundsEnv is how many times the whole matrix is gone through; once when empty.
const roundsEnv = "RBEE_MATRIX_ROUNDS"

// deaths are the ways in which a launcher ends. Each acts on a launch that is ready and
// returns when the launcher is to end by itself.
var deaths = map[string]func(*cell){
	"SIGTERM": func(c *cell) { c.signal(syscall.SIGTERM) },
	"SIGINT twice": func(c *cell) {
		c.signal(syscall.SIGINT)
		c.await("stopping")
		c.signal(syscall.SIGINT)
	},
	"SIGKILL":           func(c *cell) { c.signal(syscall.SIGKILL) },
	"panic":             func(c *cell) { c.check(c.panics.Close()) },
	"terminal closed":   func(c *cell) { c.check(c.terminal.Close()) },
	"parent shell gone": func(c *cell) { c.check(c.cmd.Process.Kill()) },
}

// families are the children: shell scripts that start what they start, and then serve.
var families = map[string]string{
	"plain": serve,
	"forks and exits": `(sleep 1000 &)
		sh -c 'sleep 1000 & exec sleep 0' &
		` + serve,
	"sessions of their own": `setsid sleep 1000 &
		(setsid sh -c 'setsid sleep 1000 & exit' &)
		env -i PATH="$PATH" setsid setsid sleep 1000 &
		` + serve,
	"ignores SIGTERM": `trap '' TERM INT HUP
		sleep 1000 &
		` + serve + ` --ignore-sigterm`,
	"stopped": serve,
}

const serve = `exec llm-worker-rbee --port "$PORT" --registry-url= --queen-url= --log-level=error`

// TestMatrix: however a launcher ends, whatever its child is, nothing is left behind: no
// descendant, no listener, no lease, no socket or file in the runtime directory, and no
// entry in the registry beyond its window.
func TestMatrix(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(roundsEnv))
	if err != nil {
		rounds = 1
	}
	url, client := matrixRegistry(t)
	for round := range rounds {
		for death, die := range deaths {
			for family, script := range families {
				t.Run(fmt.Sprintf("%s/%s/%d", death, family, round+1), func(t *testing.T) {
					t.Parallel()
					c := &cell{T: t, death: death, registry: client}
					c.start(url, script)
					if family == "stopped" {
						c.stopChild()
					}
					die(c)
					c.nothingIsLeft()
				})
			}
		}
	}
}

// matrixRegistry is a registry that soon forgets who is silent.
func matrixRegistry(t *testing.T) (string, *registry.Client) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		s := server.Config{OnlineWindow: time.Second, RemoveAfter: 2 * time.Second}
		if err := server.Run(t.Context(), ln, s); err != nil {
			t.Error(err)
		}
	})
	client, err := registry.NewClient(registry.Config{URL: "http://" + ln.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); serving.Wait() })
	return "http://" + ln.Addr().String(), client
}

// cell is one launch of the matrix.
type cell struct {
	*testing.T
	death    string
	registry *registry.Client
	id       string
	port     int
	runtime  string   // its runtime directory
	stderr   string   // the file that the launcher's goes to
	held     *os.File // ends when nobody below the launcher lives
	panics   *os.File // the launcher panics when it is closed
	terminal *os.File
	cmd      *exec.Cmd // the launcher, or the shell that it is started by
	launcher int       // its pid
	child    int
}

func (c *cell) check(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// start launches the script and waits until it is ready and registered.
func (c *cell) start(registryURL, script string) {
	c.Helper()
	port := ownPort(c.T)
	var err error
	c.port, err = strconv.Atoi(port)
	c.check(err)
	c.id = "matrix-" + port
	args := []string{
		"exec", "--id", c.id, "--port", port, "--registry-url", registryURL, "--queen-url", "",
		"--heartbeat-interval", "200ms", "--grace", "300ms", "--restart", "never", "--health-http", "/health",
		"--", "sh", "-c", script,
	}
	c.cmd = rbeeLaunch(c.T, filepath.Dir(mustLook(c.T, "rbee-launch")), args...)
	switch c.death {
	case "panic":
		c.cmd.Args[0] = panicking
		r, w, err := os.Pipe()
		c.check(err)
		defer r.Close()
		c.cmd.Stdin, c.panics = r, w
	case "parent shell gone":
		// The shell waits, since there is something to do after the launcher's end.
		c.cmd.Path = "/bin/sh"
		c.cmd.Args = append([]string{"sh", "-c", `"$0" "$@"; exit`}, append([]string{mustLook(c.T, "rbee-launch")}, args...)...)
	}
	c.runtime = filepath.Join(c.cmd.Dir, "rbee_runtime_dir")
	c.stderr = filepath.Join(c.cmd.Dir, "stderr")
	stderr, err := os.Create(c.stderr)
	c.check(err)
	defer stderr.Close()
	c.cmd.Stderr = stderr
	if c.death == "terminal closed" || c.death == "parent shell gone" {
		defer c.onTerminal().Close()
	}
	held, w, err := os.Pipe()
	c.check(err)
	defer w.Close()
	c.held = held
	c.Cleanup(func() { _ = held.Close() })
	c.cmd.ExtraFiles = make([]*os.File, heldFD-3+1)
	c.cmd.ExtraFiles[heldFD-3] = w
	c.check(c.cmd.Start())
	c.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it has ended by now, if all is well
		_ = c.cmd.Wait()
	})
	c.await("started, pid")
	for !c.isRegistered(registry.Online) {
		time.Sleep(5 * time.Millisecond)
		c.alive()
	}
	c.child, c.launcher = c.pids()
}

// onTerminal gives the command a terminal of its own, which is closed with c.terminal.
// The caller closes the file, once the command runs.
func (c *cell) onTerminal() *os.File {
	c.Helper()
	var err error
	c.terminal, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	c.check(err)
	c.Cleanup(func() { _ = c.terminal.Close() })
	fd := int(c.terminal.Fd())
	c.check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	c.check(err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	c.check(err)
	c.cmd.Stdin, c.cmd.Stdout = tty, tty
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	return tty
}

// pids are those of the child and its launcher, as ps has them.
func (c *cell) pids() (child, launcher int) {
	c.Helper()
	body, err := os.ReadFile(filepath.Join(c.runtime, "launches", c.id+".json"))
	c.check(err)
	for key, to := range map[string]*int{`"pid":`: &child, `"supervisor_pid":`: &launcher} {
		_, rest, found := strings.Cut(string(body), key)
		if !found {
			c.Fatalf("no %s in %s", key, body)
		}
		_, err := fmt.Sscan(rest[:strings.IndexByte(rest, ',')], to)
		c.check(err)
	}
	return child, launcher
}

func (c *cell) signal(sig syscall.Signal) { c.check(syscall.Kill(c.launcher, sig)) }

func (c *cell) stopChild() { c.check(syscall.Kill(-c.child, syscall.SIGSTOP)) }

// await waits until the launcher has said something on standard error.
func (c *cell) await(text string) {
	c.Helper()
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(5 * time.Millisecond) {
		body, err := os.ReadFile(c.stderr)
		c.check(err)
		if strings.Contains(string(body), text) {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("it never says %q: %s", text, body)
		}
	}
}

// alive fails the cell when its launch has failed.
func (c *cell) alive() {
	c.Helper()
	body, err := os.ReadFile(c.stderr)
	c.check(err)
	if strings.Contains(string(body), "ended before") {
		c.Fatalf("the launch failed: %s", body)
	}
}

func (c *cell) isRegistered(status registry.Status) bool {
	answer, err := c.registry.Workers(c.Context(), registry.Filter{})
	c.check(err)
	for _, w := range answer.Value {
		if w.ID == c.id && (status == "" || w.Status == status) {
			return true
		}
	}
	return false
}

// nothingIsLeft waits for the end of all that there was; each wait ends with what it
// waits for.
func (c *cell) nothingIsLeft() {
	c.Helper()
	c.check(c.held.SetReadDeadline(time.Now().Add(e2eLimit)))
	if _, err := io.Copy(io.Discard, c.held); err != nil {
		c.Errorf("descendants live on: %v; the launcher said: %s", err, c.said())
	}
	if c.launcher != c.cmd.Process.Pid { // the shell's; another is waited for in the end
		c.gone(c.launcher)
	}
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
	if err != nil {
		c.Errorf("the port is not free: %v", err)
	} else {
		c.check(ln.Close())
	}
	if _, err := os.Stat(filepath.Join(ports.DefaultDir, strconv.Itoa(c.port)+".lock")); !errors.Is(err, os.ErrNotExist) {
		c.Errorf("the lease is left: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(c.runtime, "launches", "*"))
	c.check(err)
	if len(left) > 0 {
		c.Errorf("left in the runtime directory: %v; the launcher said: %s", left, c.said())
	}
	for deadline := time.Now().Add(e2eLimit); c.isRegistered(""); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatal("it is registered still")
		}
	}
}

// gone waits for the end of a process that is not ours to wait for.
func (c *cell) gone(pid int) {
	c.Helper()
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(5 * time.Millisecond) {
		if _, _, lives := readStat(fmt.Sprintf("/proc/%d/stat", pid)); !lives {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("the launcher, pid %d, lives: %s", pid, c.said())
		}
	}
}

func (c *cell) said() string {
	body, _ := os.ReadFile(c.stderr) // for messages alone
	return string(body)
}
