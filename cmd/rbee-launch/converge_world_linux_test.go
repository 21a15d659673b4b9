package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
)

const maxConvergeWorkers = 6

// convergeDaemons are those that steps name; box1 and box2 are the hives.
var convergeDaemons = []string{"registry", "queen", "box1", "box2"}

// converge is one sequence: its daemons, and two machines with a hive each.
type converge struct {
	*testing.T
	times    *convergeTimes
	client   *http.Client
	daemons  map[string]*convergeDaemon
	machines []*boxFolders
	ports    ports.Range   // all of them
	frozen   map[proc]bool // of workers: children and keepers
	settled  bool          // nothing has happened since the last check
	story    []string      // for whoever is to understand a failure
}

// boxFolders is a machine as far as a launcher sees: it has folders of its own, and so workers of its own.
type boxFolders struct {
	name    string // its hive's
	base    *exec.Cmd
	runtime string
	direct  bool // its workers know the queen; those of the other she finds in the registry
}

// convergeDaemon is a program that runs at times, always at the same address.
type convergeDaemon struct {
	name   string
	at     *boxFolders
	argv   []string
	url    string
	log    *os.File
	cmd    *exec.Cmd
	ended  chan struct{} // closed once cmd has
	frozen bool
}

func (d *convergeDaemon) up() bool { return d.cmd != nil && !d.frozen }

// simulation is the built-in worker, whose silence is noticed sooner.
const simulation = `engines:
  - name: sim
    types: ["*"]
    programs:
      - run: llm-worker-rbee
    args:
      - [--host, "{host}"]
      - [--port, "{port}"]
      - [--worker-id, "{worker_id}"]
      - [--model, "{alias}"]
      - --registry-url=
      - --queen-url=
    port_flags: [--port]
    model: {needed: false, kinds: [any]}
    ready: {path: /health, loading: 503}
    live: {path: /health, timeout: 500ms, period: 200ms, failures: 2}
    capabilities:
      - path: /capabilities
    stop: {signal: SIGTERM, grace: 1s}
`

func newConverge(t *testing.T, times *convergeTimes) *converge {
	t.Helper()
	c := &converge{T: t, times: times, client: freshClient(), daemons: map[string]*convergeDaemon{}, frozen: map[proc]bool{}}
	c.ports = ownBlock(t)
	first := c.ports.First
	profiles := filepath.Join(t.TempDir(), "engines.yaml")
	c.check(os.WriteFile(profiles, []byte(simulation), 0o600))
	for i, name := range []string{"box1", "box2"} {
		base := rbeeLaunch(t, filepath.Dir(mustLook(t, "rbee-launch")))
		c.machines = append(c.machines, &boxFolders{
			name: name, base: base, runtime: filepath.Join(base.Dir, "rbee_runtime_dir"), direct: i == 0,
		})
	}
	url := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
	common := []string{"--registry-url", url(first), "--heartbeat-interval", beat.String(), "--log-level", "info"}
	c.add("registry", c.machines[0], first, "rbee-registry",
		"--online-window", (2 * beat).String(), "--remove-after", (6 * beat).String(), "--log-level", "info")
	c.add("queen", c.machines[0], first+1, append([]string{"queen-rbee", "--offline-after", (6 * beat).String()}, common...)...)
	for i, m := range c.machines {
		argv := append([]string{"rbee-hive", "--id", m.name, "--engine-file", profiles}, common...)
		argv = append(argv, "--ports", fmt.Sprintf("%d-%d", first+4+8*i, first+4+8*i+7), "--queen-url", "")
		if m.direct {
			argv[len(argv)-1] = url(first + 1)
		}
		c.add(m.name, m, first+2+i, argv...)
	}
	t.Cleanup(c.clear)
	return c
}

func (c *converge) add(name string, at *boxFolders, port int, argv ...string) {
	c.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	log, err := os.Create(filepath.Join(at.base.Dir, name+".log"))
	c.check(err)
	c.Cleanup(func() { _ = log.Close() })
	c.daemons[name] = &convergeDaemon{name: name, at: at, argv: append(argv, "--listen", addr), url: "http://" + addr, log: log}
}

// ownBlock are ports in a row that no other test's launcher takes, stood for as those of
// the stories are.
func ownBlock(t *testing.T) ports.Range {
	t.Helper()
	standIns := ports.Range{First: 15000, Last: 15249}
	lease, err := ports.Acquire(t.Context(), ports.Config{Range: standIns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lease.Release() })
	first := 10000 + (lease.Port()-standIns.First)*blockSize
	return ports.Range{First: first, Last: first + blockSize - 1}
}

// clear ends whatever is left, which is nothing if all is well, and tells the story of a
// failure.
func (c *converge) clear() {
	if c.Failed() {
		c.Logf("what happened:\n%s", strings.Join(c.story, "\n"))
		for _, m := range c.machines {
			logs, _ := filepath.Glob(filepath.Join(m.base.Dir, "*.log"))
			more, _ := filepath.Glob(filepath.Join(m.base.Dir, "rbee_state_dir", "logs", "*.launcher.log"))
			for _, log := range append(logs, more...) {
				body, err := os.ReadFile(log)
				const tail = 8000
				c.Logf("%s of %s: %s %v", filepath.Base(log), m.name, body[max(0, len(body)-tail):], err)
			}
		}
	}
	for _, m := range c.machines {
		for _, pid := range m.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone just now
		}
	}
	for _, d := range c.daemons {
		if d.cmd != nil {
			<-d.ended
		}
	}
}

// processes are all that have the machine's folders in their environment, and live.
func (m *boxFolders) processes() (pids []int) {
	mark := []byte("RBEE_RUNTIME_DIR=" + m.runtime + "\x00")
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		environ, err := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if err != nil || !bytes.Contains(environ, mark) {
			continue
		}
		if p, _, lives := readStat(file); lives {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

func (c *converge) check(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *converge) note(format string, args ...any) {
	c.story = append(c.story, time.Now().UTC().Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (c *converge) begin(d *convergeDaemon) {
	c.Helper()
	if d.cmd != nil {
		return // a step of a sequence that was shortened
	}
	d.cmd = &exec.Cmd{Path: d.at.base.Path, Args: d.argv, Env: d.at.base.Env, Dir: d.at.base.Dir, Stdout: d.log, Stderr: d.log}
	d.ended = make(chan struct{})
	c.check(d.cmd.Start())
	cmd, ended := d.cmd, d.ended
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(ended)
	}()
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(5 * time.Millisecond) {
		var answer any
		err := c.ask(http.MethodGet, d.url+"/health", nil, &answer)
		if err == nil {
			return
		}
		select {
		case <-d.ended:
			c.Fatalf("%s does not start: %v", d.name, d.cmd.ProcessState)
		default:
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s does not answer: %v", d.name, err)
		}
	}
}

// end ends a daemon with a signal, and wants it to have ended by SIGTERM in good order.
func (c *converge) end(d *convergeDaemon, sig syscall.Signal) {
	c.Helper()
	if d.cmd == nil || d.frozen && sig != syscall.SIGKILL {
		return
	}
	if err := d.cmd.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) { // then it was killed before
		c.check(err)
	}
	select {
	case <-d.ended:
	case <-time.After(e2eLimit):
		c.Fatalf("%s does not end", d.name)
	}
	if code := d.cmd.ProcessState.ExitCode(); sig == syscall.SIGTERM && code != 0 {
		c.Fatalf("%s ended with exit code %d", d.name, code)
	}
	d.cmd, d.frozen = nil, false
}

func (c *converge) freeze(d *convergeDaemon, sig syscall.Signal) {
	c.Helper()
	if d.cmd == nil {
		return
	}
	c.check(proctest.Signal(d.cmd.Process.Pid, sig))
	d.frozen = sig == syscall.SIGSTOP
}

// ask sends one request, which has a second, and decodes a good answer.
func (c *converge) ask(method, url string, body, into any) error {
	return c.askFor(time.Second, method, url, body, into)
}

func (c *converge) askFor(limit time.Duration, method, url string, body, into any) error {
	ctx, cancel := context.WithTimeout(c.Context(), limit)
	defer cancel()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return err
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %w", method, url, text, &registry.Refusal{Status: resp.StatusCode})
	}
	return json.Unmarshal(text, into)
}

// aWorker is one of a machine's.
type aWorker struct {
	launch.Launch
	at *boxFolders
}

// workers are all there are, by machine and id.
func (c *converge) workers() (all []aWorker) {
	c.Helper()
	for _, m := range c.machines {
		launches, err := launch.List(m.runtime)
		c.check(err)
		for _, l := range launches {
			all = append(all, aWorker{l, m})
		}
	}
	return all
}

// spawned waits for an operation to end, at most as long as its server lives.
func (c *converge) spawned(d *convergeDaemon, at string) (op hive.Operation, err error) {
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(10 * time.Millisecond) {
		err = c.ask(http.MethodGet, d.url+at, nil, &op)
		if err == nil && op.Status != hive.Running {
			return op, nil
		}
		select {
		case <-d.ended:
			return op, errors.New("its server was killed")
		default:
		}
		if time.Now().After(deadline) {
			return op, fmt.Errorf("it does not end: %+v, %w", op, err)
		}
	}
}
