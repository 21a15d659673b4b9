package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// e2eLimit bounds each wait of the end-to-end tests; all of them end as soon as what
// they wait for has happened.
const e2eLimit = time.Minute

// need finds a program that nobody here wrote. Where it is missing the test is
// skipped, in CI it fails.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	for _, dir := range []string{filepath.Join(build.Default.GOPATH, "bin"), "/usr/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	if os.Getenv("RBEE_CI") == "1" {
		t.Fatalf("%s is not installed, and CI is to test it", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// mustLook finds a program that is there: this package's own are beside the test binary.
func mustLook(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// ownPort is a port that no other test's launcher takes, now or later: that it is free
// again in the end is for this test's to see. The launcher wants to lease it itself, so
// what the test holds is the lease of another one that stands for it. A port that a
// stranger has is passed over.
func ownPort(t *testing.T) string {
	t.Helper()
	const apart = 500
	for {
		standIn, err := ports.Acquire(t.Context(), ports.Config{Range: ports.Range{First: 16000, Last: 16000 + apart - 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = standIn.Release() })
		port := strconv.Itoa(standIn.Port() + apart)
		if ln, err := net.Listen("tcp", ":"+port); err == nil {
			_ = ln.Close()
			return port
		}
	}
}

// registryUnderTest is a real registry that tells when something has changed in it.
type registryUnderTest struct {
	t       *testing.T
	url     string
	client  *registry.Client
	changed chan struct{}
}

// startRegistry runs a registry until the test ends. onRegister, where it is not
// nil, is called with each registration before the registry gets to know of it.
func startRegistry(t *testing.T, onRegister func(registry.Component)) *registryUnderTest {
	t.Helper()
	r := &registryUnderTest{t: t, changed: make(chan struct{}, 1)}
	api := server.New(server.Config{}).Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasSuffix(req.URL.Path, "/register") && onRegister != nil {
			body, _ := io.ReadAll(req.Body) // what did not arrive the registry will refuse
			req.Body = io.NopCloser(bytes.NewReader(body))
			var form registry.Form
			if err := json.Unmarshal(body, &form); err != nil {
				t.Errorf("a registration: %v", err)
			}
			c, err := form.Component()
			if err != nil {
				t.Errorf("a registration: %v", err)
			}
			onRegister(c)
		}
		api.ServeHTTP(w, req)
		if req.Method != http.MethodGet {
			select {
			case r.changed <- struct{}{}:
			default:
			}
		}
	}))
	t.Cleanup(srv.Close)
	r.url = srv.URL
	var err error
	if r.client, err = registry.NewClient(registry.Config{URL: srv.URL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.Close)
	return r
}

// workers lists what the registry knows.
func (r *registryUnderTest) workers() []registry.Entry {
	r.t.Helper()
	answer, err := r.client.Workers(r.t.Context(), registry.Filter{})
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.Value
}

// await waits until the registry lists an online worker that is not the instance
// given ("" when any will do).
func (r *registryUnderTest) await(l *launcher, not string) registry.Entry {
	r.t.Helper()
	limit := time.After(e2eLimit)
	for {
		for _, w := range r.workers() {
			if w.Status == registry.Online && w.InstanceID != not {
				return w
			}
		}
		select {
		case <-r.changed:
		case <-l.ended:
			r.t.Fatalf("the launcher ended before it had registered: %s", l.said())
		case <-limit:
			r.t.Fatalf("nothing was registered within %s: %s", e2eLimit, l.said())
		}
	}
}

// addr is where the registry says that a worker is.
func addr(w registry.Entry) string { return net.JoinHostPort(w.Hostname, strconv.Itoa(w.Port)) }

// launcher is a running rbee-launch, the whole program in a process of its own.
type launcher struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}
	held  *os.File // the read end of a pipe that everything below the launcher holds

	mu     sync.Mutex
	output bytes.Buffer
}

// heldFD is where the pipe of launcher.held is in the launcher: out of the way of
// the descriptors that it has uses for.
const heldFD = 40

// startLauncher runs rbee-launch with folders of its own. path is put before PATH.
func startLauncher(t *testing.T, path string, args ...string) *launcher {
	t.Helper()
	l := &launcher{t: t, cmd: rbeeLaunch(t, path, args...), ended: make(chan struct{})}
	held, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { _ = held.Close() })
	l.held = held
	l.cmd.ExtraFiles = make([]*os.File, heldFD-3+1)
	l.cmd.ExtraFiles[heldFD-3] = w
	l.cmd.Stdout, l.cmd.Stderr = l, l
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = l.cmd.Wait() // how it ended is in ProcessState
		close(l.ended)
	}()
	t.Cleanup(func() {
		_ = l.cmd.Process.Kill() // one that has ended already is what most tests leave
		<-l.ended
	})
	return l
}

// rbeeLaunch is the command, in an environment that is nobody else's.
func rbeeLaunch(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := append([]string{"GORACE=atexit_sleep_ms=0"}, os.Environ()...) // else a second goes by at each exit
	env = append(env, "PATH="+path+string(filepath.ListSeparator)+os.Getenv("PATH"))
	for _, name := range []string{"HOME", "OLLAMA_MODELS", "XDG_CONFIG_HOME", "RBEE_RUNTIME_DIR", "RBEE_STATE_DIR"} {
		env = append(env, name+"="+filepath.Join(dir, strings.ToLower(name)))
	}
	return &exec.Cmd{Path: self, Args: append([]string{"rbee-launch"}, args...), Env: env, Dir: dir}
}

// oneUser gives the command as one user types it again and again, with the same folders,
// which are below dir. It wants each to succeed, and returns what that printed.
func oneUser(t *testing.T, path string) (command func(args ...string) string, dir string) {
	base := rbeeLaunch(t, path)
	return func(args ...string) string {
		t.Helper()
		cmd := exec.Cmd{Path: base.Path, Args: append([]string{"rbee-launch"}, args...), Env: base.Env, Dir: base.Dir}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v%s", args, err, stderrOf(err))
		}
		return string(out)
	}, base.Dir
}

// Write keeps what the launcher prints.
func (l *launcher) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.output.Write(text)
}

func (l *launcher) said() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.output.String()
}

// stop asks the launcher to end, as systemd or a user would, and wants it to do so
// without complaint.
func (l *launcher) stop() {
	l.t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		l.t.Fatal(err)
	}
	if code := l.exitCode(); code != 0 {
		l.t.Errorf("it ended with exit code %d: %s", code, l.said())
	}
}

// kill is the end that no program can prepare for.
func (l *launcher) kill() {
	l.t.Helper()
	if err := l.cmd.Process.Kill(); err != nil {
		l.t.Fatal(err)
	}
	l.exitCode()
}

func (l *launcher) exitCode() int {
	l.t.Helper()
	select {
	case <-l.ended:
		return l.cmd.ProcessState.ExitCode()
	case <-time.After(e2eLimit):
		l.t.Fatalf("it has not ended within %s: %s", e2eLimit, l.said())
		return 0
	}
}

// proc is a process that can't be mistaken for a later one of the same pid.
type proc struct {
	pid   int
	start string // in the kernel's unit
	name  string
}

func (p proc) String() string { return fmt.Sprintf("%s (pid %d)", p.name, p.pid) }

// tree lists all that lives below the launcher, parents first: the guard, its
// children and theirs.
func (l *launcher) tree() []proc {
	l.t.Helper()
	if runtime.GOOS != "linux" {
		l.t.Skip("finds descendants through /proc")
	}
	children := map[int][]proc{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		l.t.Fatal(err)
	}
	for _, path := range stats {
		if p, parent, ok := readStat(path); ok {
			children[parent] = append(children[parent], p)
		}
	}
	below := children[l.cmd.Process.Pid]
	for i := 0; i < len(below); i++ {
		below = append(below, children[below[i].pid]...)
	}
	return below
}

// readStat reads a /proc/PID/stat; a zombie is not a process that lives.
func readStat(path string) (p proc, parent int, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return p, 0, false
	}
	// PID (NAME) STATE PARENT ..., see proc_pid_stat(5); the name may hold anything.
	head, tail, _ := strings.Cut(string(text), " (")
	end := strings.LastIndex(tail, ")")
	fields := strings.Fields(tail[end+1:])
	if fields[0] == "Z" || fields[0] == "X" {
		return p, 0, false
	}
	p.name, p.start = tail[:end], fields[19]
	p.pid, _ = strconv.Atoi(head)
	parent, _ = strconv.Atoi(fields[1])
	return p, parent, true
}

func (p proc) lives() bool {
	now, _, ok := readStat(fmt.Sprintf("/proc/%d/stat", p.pid))
	return ok && now.start == p.start
}

// nothingLeft wants all the processes given to end, those that the tree's last look
// missed too, and the port to be free.
func (l *launcher) nothingLeft(tree []proc, port int) {
	l.t.Helper()
	if err := l.held.SetReadDeadline(time.Now().Add(e2eLimit)); err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, l.held); err != nil {
		l.t.Errorf("somebody still holds what only the launcher's descendants were given: %v", err)
	}
	awaitEnd(l.t, tree)
	if port == 0 {
		return
	}
	// To lease it again shows that it is free, and clears the lock file that a launcher
	// leaves when it is killed.
	lease, err := ports.AcquirePort(l.t.Context(), ports.Config{}, port)
	if err != nil {
		l.t.Errorf("the port is not free again: %v", err)
		return
	}
	if err := lease.Release(); err != nil {
		l.t.Error(err)
	}
}

// awaitEnd waits until none of the processes lives.
func awaitEnd(t *testing.T, procs []proc) {
	t.Helper()
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(time.Millisecond) {
		var left []proc
		for _, p := range procs {
			if p.lives() {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, p := range left {
				_ = syscall.Kill(p.pid, syscall.SIGKILL) // what the test found must not outlive it
			}
			t.Fatalf("these live on: %v", left)
		}
	}
}

// event takes the last of the --json events of a type out of what was printed.
func (l *launcher) event(wanted launch.EventType) (found launch.Event) {
	l.t.Helper()
	for line := range strings.Lines(l.said()) {
		var e launch.Event
		if json.Unmarshal([]byte(line), &e) == nil && e.Event == wanted {
			found = e
		}
	}
	if found.Event == "" {
		l.t.Fatalf("it told of no %q: %s", wanted, l.said())
	}
	return found
}

// freshClient keeps no connection open: a server that is told to stop should not have
// to wait for ours.
func freshClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: e2eLimit}
}

// get asks with a fresh connection and wants status 200.
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := freshClient().Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("GET %s: %s: %s", url, resp.Status, body))
	}
	return string(body), err
}
