package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// chaos is what one sequence has of its own.
type chaos struct {
	*testing.T
	draw     *rand.Rand
	client   *registry.Client
	base     *exec.Cmd // what its commands have in common
	launches []*chaosLaunch
	now      map[string]launch.Launch // those that are there, as ps last showed them
	guards   map[proc]string          // all that were seen, with whose they were: their environment does not tell them
	story    []string                 // for whoever is to understand a failure
}

// chaosLaunch is a launch that is there at times.
type chaosLaunch struct {
	id, port, registry string
	policy             string
	was                launch.Launch // before the present step
}

// chaosFamily has a child in a session of its own besides the server.
const chaosFamily = `setsid sleep 1000 & ` + serve

func newChaos(t *testing.T, registryURL string, client *registry.Client) *chaos {
	t.Helper()
	self := mustLook(t, "rbee-launch") // by this name: an upgrade goes by the file's
	c := &chaos{T: t, client: client, base: rbeeLaunch(t, filepath.Dir(self))}
	c.base.Path = self
	c.now, c.guards = map[string]launch.Launch{}, map[proc]string{}
	for range 3 {
		port := ownPort(t)
		c.launches = append(c.launches, &chaosLaunch{id: "chaos-" + port, port: port, registry: registryURL})
	}
	t.Cleanup(func() {
		for _, p := range c.processes() { // none, if all is well
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
		for g := range c.guards {
			if g.lives() {
				_ = syscall.Kill(g.pid, syscall.SIGKILL)
			}
		}
		if t.Failed() {
			t.Logf("what happened:\n%s", strings.Join(c.story, "\n"))
			logs, _ := filepath.Glob(filepath.Join(c.base.Dir, "rbee_state_dir", "logs", "*.launcher.log"))
			for _, log := range logs {
				body, err := os.ReadFile(log)
				t.Logf("%s: %s %v", filepath.Base(log), body, err)
			}
		}
	})
	return c
}

func (l *chaosLaunch) command(kind string) []string {
	switch kind {
	case "launch":
		return []string{
			"exec", "-d", "--id", l.id, "--port", l.port, "--on-orphan", l.policy, "--registry-url", l.registry, "--queen-url", "",
			"--heartbeat-interval", "200ms", "--grace", "1s", "--health-http", "/health", "--", "sh", "-c", chaosFamily,
		}
	case "stop at once":
		return []string{"stop", "--grace", "0", l.id}
	default:
		return []string{kind, l.id}
	}
}

func (c *chaos) note(format string, args ...any) {
	c.story = append(c.story, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// try runs a command and returns its exit code, and all that there is to tell of it. One
// that does not end fails the test.
func (c *chaos) try(args ...string) (code int, told string) {
	ctx, cancel := context.WithTimeout(c.Context(), e2eLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.base.Path, args...)
	cmd.Args[0] = "rbee-launch"
	cmd.Env, cmd.Dir = c.base.Env, c.base.Dir
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		c.Errorf("%v does not end: %s", args, out)
	}
	code = cmd.ProcessState.ExitCode()
	return code, fmt.Sprintf("  %v: %v: %s", args[:min(4, len(args))], err, out)
}

func (c *chaos) run(args ...string) (code int) {
	c.Helper()
	code, told := c.try(args...)
	c.note("%s", told)
	return code
}

func (c *chaos) succeeds(args ...string) {
	c.Helper()
	if code := c.run(args...); code != 0 {
		c.Fatalf("%v ends with exit code %d", args, code)
	}
}

func (c *chaos) fails(args ...string) {
	c.Helper()
	if c.run(args...) == 0 {
		c.Fatalf("%v is no error", args)
	}
}

func (c *chaos) kill(pids ...int) { c.signal(syscall.SIGKILL, pids...) }

func (c *chaos) signal(sig syscall.Signal, pids ...int) {
	c.Helper()
	for _, pid := range pids {
		c.note("  %v to %d", sig, pid)
		if pid <= 1 {
			c.Fatalf("there is no process to send %v to", sig)
		}
		if err := proctest.Signal(pid, sig); err != nil && err != syscall.ESRCH { // the first may have ended the second
			c.Fatal(err)
		}
	}
}

func (c *chaos) record(id, ext string) string {
	return filepath.Join(c.base.Dir, "rbee_runtime_dir", "launches", id+ext)
}

// chaosRecord is what is written down of a launch.
type chaosRecord struct{ Launcher, Guard, Child guard.Process }

// recorded is empty where a launch is not there.
func (c *chaos) recorded(id string) (r chaosRecord) {
	c.Helper()
	body, err := os.ReadFile(c.record(id, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r
	}
	c.check(err)
	c.check(json.Unmarshal(body, &r))
	return r
}

// end kills those that live still, and waits for that: the kernel may take its time.
func (c *chaos) end(whom ...guard.Process) {
	for _, p := range whom {
		if p.Alive() {
			c.note("  SIGKILL to %d", p.PID)
			p.Kill()
		}
	}
	for _, p := range whom {
		for p.Alive() {
			time.Sleep(time.Millisecond)
		}
	}
}

func (c *chaos) guardOf(id string) int { return c.recorded(id).Guard.PID }

// settle waits until nothing is wrong any more: the launch given has come to what is
// wanted, the others are as they were. Where none is given all are to come to that.
func (c *chaos) settle(touched *chaosLaunch, want outcome) {
	c.Helper()
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(10 * time.Millisecond) {
		now := c.list()
		wrong := c.wrong(now)
		for _, l := range c.launches {
			w := want
			if touched != nil && l != touched {
				w = same
			}
			if !w(c.now[l.id], now[l.id]) {
				wrong = append(wrong, fmt.Sprintf("%s was %+v and is %+v", l.id, c.now[l.id], now[l.id]))
			}
		}
		if len(wrong) == 0 {
			c.now = now
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("after a minute still:\n%s", strings.Join(wrong, "\n"))
		}
	}
}

// list is what ps shows, by id.
func (c *chaos) list() map[string]launch.Launch {
	c.Helper()
	cmd := exec.Cmd{Path: c.base.Path, Args: []string{"rbee-launch", "ps", "--json"}, Env: c.base.Env, Dir: c.base.Dir}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if stderr.Len() > 0 {
		c.note("  ps: %s", stderr.String())
	}
	var all []launch.Launch
	if err == nil {
		err = json.Unmarshal(out, &all)
	}
	if err != nil {
		c.Fatalf("ps --json: %v: %s %s", err, out, stderr.String())
	}
	now := map[string]launch.Launch{}
	for _, l := range all {
		now[l.ID] = l
	}
	return now
}

// wrong lists what is not as it has to be once all is quiet.
func (c *chaos) wrong(now map[string]launch.Launch) (wrong []string) {
	procs := c.processes()
	expected := 0
	for _, l := range c.launches {
		is, count := now[l.id], map[string]int{}
		for _, p := range procs {
			if role := p.role(l); role != "" {
				count[role]++
			}
		}
		need := map[string]int{}
		if is.ID != "" {
			need = map[string]int{"server": 1, "sleep": 1, "sidecar": 1}
		}
		if is.Status == launch.IsOrphaned {
			delete(need, "sidecar")
		}
		for _, role := range []string{"server", "sleep", "sidecar", "other"} {
			expected += need[role]
			if count[role] != need[role] {
				wrong = append(wrong, fmt.Sprintf("%s, %s, has %d %s: %v", l.id, is.Status, count[role], role, procs))
			}
		}
		wrong = append(wrong, c.wrongWith(l, is)...)
	}
	if len(procs) != expected {
		wrong = append(wrong, fmt.Sprintf("there are %d processes, not %d: %v", len(procs), expected, procs))
	}
	wrong = append(wrong, c.wrongGuards(now)...)
	return append(wrong, c.wrongInRegistry(now)...)
}

// wrongGuards wants one guard for each launch that is there, and no earlier one.
func (c *chaos) wrongGuards(now map[string]launch.Launch) (wrong []string) {
	current := map[proc]bool{}
	for id := range now {
		g, _, lives := readStat(fmt.Sprintf("/proc/%d/stat", c.guardOf(id)))
		if !lives {
			wrong = append(wrong, fmt.Sprintf("the guard of %s is dead", id))
		}
		g.name = "" // it changes
		c.guards[g], current[g] = id, true
	}
	for g, id := range c.guards {
		if g.lives() && !current[g] {
			wrong = append(wrong, fmt.Sprintf("an earlier guard of %s lives: %s", id, g))
		}
	}
	return wrong
}

func (c *chaos) wrongWith(l *chaosLaunch, is launch.Launch) (wrong []string) {
	if is.ID == "" {
		if left, _ := filepath.Glob(c.record(l.id, ".*")); len(left) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s has left %v", l.id, left))
		}
		ln, err := net.Listen("tcp", "127.0.0.1:"+l.port)
		if err != nil {
			return append(wrong, fmt.Sprintf("%s is gone, and its port is not free: %v", l.id, err))
		}
		c.check(ln.Close())
		return wrong
	}
	if is.Status != launch.IsReady && is.Status != launch.IsOrphaned {
		wrong = append(wrong, fmt.Sprintf("%s is %s", l.id, is.Status))
	}
	ctx, cancel := context.WithTimeout(c.Context(), time.Second)
	defer cancel()
	if _, err := get(ctx, is.URL+"/health"); err != nil {
		wrong = append(wrong, fmt.Sprintf("%s does not serve: %v", l.id, err))
	}
	return wrong
}

func (c *chaos) check(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// wrongInRegistry wants those in the registry that are ready, and nobody else, not even
// as offline.
func (c *chaos) wrongInRegistry(now map[string]launch.Launch) (wrong []string) {
	answer, err := c.client.Workers(c.Context(), registry.Filter{})
	c.check(err)
	known := map[string]registry.Entry{}
	for _, w := range answer.Value {
		known[w.ID] = w
	}
	for _, l := range c.launches {
		w, found := known[l.id]
		is := now[l.id]
		if ready := is.Status == launch.IsReady; ready != found || (ready && (w.Status != registry.Online || w.InstanceID != is.InstanceID)) {
			wrong = append(wrong, fmt.Sprintf("%s is %q and in the registry as %+v", l.id, is.Status, w))
		}
	}
	return wrong
}

// chaosProc is a process of the sequence's.
type chaosProc struct {
	pid  int
	argv []string
	port string // PORT in its environment: it is below a launch
}

func (p chaosProc) String() string { return fmt.Sprintf("%d %.60q", p.pid, p.argv) }

// role is what a process is to a launch; "" for nothing.
func (p chaosProc) role(l *chaosLaunch) string {
	switch name := filepath.Base(p.argv[0]); {
	case p.port == l.port && (name == "sleep" || name == "llm-worker-rbee"):
		return map[string]string{"sleep": "sleep", "llm-worker-rbee": "server"}[name]
	case p.port == l.port:
		return "other"
	case name == "rbee-launch" && slices.Contains(p.argv, l.id):
		return "sidecar"
	default:
		return ""
	}
}

// processes lists all that have the sequence's environment and live.
func (c *chaos) processes() (found []chaosProc) {
	mark := "RBEE_RUNTIME_DIR=" + filepath.Join(c.base.Dir, "rbee_runtime_dir")
	files, err := filepath.Glob("/proc/[0-9]*/environ")
	c.check(err)
	for _, file := range files {
		body, err := os.ReadFile(file)
		environ := strings.Split(string(body), "\x00")
		if err != nil || !slices.Contains(environ, mark) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if err != nil || len(line) == 0 {
			continue // it has ended
		}
		p := chaosProc{argv: strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")}
		p.pid, err = strconv.Atoi(filepath.Base(filepath.Dir(file)))
		c.check(err)
		for _, v := range environ {
			if port, is := strings.CutPrefix(v, "PORT="); is {
				p.port = port
			}
		}
		found = append(found, p)
	}
	return found
}
