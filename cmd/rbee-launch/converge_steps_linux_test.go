package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// run goes through a sequence, and holds everyone to what is to come of it.
func (c *converge) run(steps []string) {
	c.Helper()
	c.note("%s='%s'", convergeStepsEnv, strings.Join(steps, ";"))
	last := "the beginning"
	for _, step := range steps {
		step = strings.TrimSpace(step)
		c.note("%s", step)
		if step == "check" {
			c.settle(false, last)
			continue
		}
		c.do(step)
		c.settled = false
		last = step
	}
	c.thaw()
	c.begin(c.daemons["registry"])
	c.begin(c.daemons["queen"])
	c.note("the end")
	c.settle(true, fmt.Sprintf("%d steps, the last of them: %s", len(steps), last))
	c.staysSo()
	c.nothingIsLeft()
}

// do does one step. One that makes no sense any more is left out.
func (c *converge) do(step string) {
	c.Helper()
	words := strings.Fields(step)
	d := c.daemons[words[1]]
	switch what := words[0]; what {
	case "wait":
		c.let(words[1])
	case "start":
		c.begin(d)
	case "stop":
		c.end(d, syscall.SIGTERM)
	case "kill":
		c.end(d, syscall.SIGKILL)
	case "restart":
		c.end(d, syscall.SIGTERM)
		c.begin(d)
	case "freeze":
		c.freeze(d, syscall.SIGSTOP)
	case "thaw":
		c.freeze(d, syscall.SIGCONT)
	case "spawn", "spawn-and-kill":
		c.spawn(d, words[2], words[3:]...)
	default:
		which, err := strconv.Atoi(words[1])
		c.check(err)
		if all := c.workers(); len(all) > 0 {
			c.doTo(what, all[which%len(all)])
		}
	}
}

// let lets some time go by: that is the step.
func (c *converge) let(text string) {
	c.Helper()
	d, err := time.ParseDuration(text)
	c.check(err)
	time.Sleep(d)
}

// spawn has a hive or the queen spawn a worker, and waits for it. With a time the hive is
// killed so long after it was asked, and whatever comes of it is right.
func (c *converge) spawn(d *convergeDaemon, model string, killed ...string) {
	c.Helper()
	if !d.up() || len(c.workers()) >= maxConvergeWorkers {
		return
	}
	var killing sync.WaitGroup
	defer killing.Wait()
	if len(killed) > 0 {
		killing.Go(func() { c.let(killed[0]); _ = d.cmd.Process.Kill() })
		defer func() { killing.Wait(); c.end(d, syscall.SIGKILL) }()
	}
	path, where := "/v1/hive/workers", "/v1/hive/operations/"
	if d.name == "queen" {
		path, where = "/v1/queen/spawn-worker", "/v1/queen/operations/"
	}
	var op hive.Operation
	err := c.askFor(e2eLimit, http.MethodPost, d.url+path, hive.SpawnRequest{WorkerType: "llm", Engine: "sim", Model: model}, &op)
	if err == nil {
		op, err = c.spawned(d, where+op.ID)
	}
	if err == nil && op.Status != hive.Succeeded {
		err = fmt.Errorf("%+v", op.Error)
	}
	c.note("  %s on %s: %v", op.WorkerID, op.HiveID, err)
	// A queen may not know yet which hives live, unless all was right a moment ago.
	mayFail := len(killed) > 0 || d.name == "queen" && (!c.settled || !c.hasHive())
	if err != nil && !mayFail {
		c.Fatalf("%s spawns no worker: %v", d.name, err)
	}
}

func (c *converge) hasHive() bool {
	return c.daemons["registry"].up() && (c.daemons["box1"].up() || c.daemons["box2"].up())
}

// doTo does something to a worker.
func (c *converge) doTo(what string, w aWorker) {
	c.Helper()
	c.note("  %s: %s", w.ID, w.Status)
	switch what {
	case "stop-by-hive":
		c.stopByHive(w)
	case "stop-by-queen":
		c.stopByQueen(w)
	case "stop-by-launch":
		out, err := c.command(w.at, "stop", w.ID)
		c.note("  %s: %v", out, err)
		if err != nil && c.isThere(w) { // else it has ended by itself
			c.Fatal(out, err)
		}
	case "kill-child":
		c.signal(syscall.SIGKILL, w.PID)
	case "kill-keeper":
		if w.Status != launch.IsOrphaned { // then it was killed before
			c.signal(syscall.SIGKILL, w.SupervisorPID)
		}
	case "freeze-child":
		c.signal(syscall.SIGSTOP, w.PID)
	case "freeze-keeper":
		c.signal(syscall.SIGSTOP, w.SupervisorPID)
	case "thaw-worker":
		c.signal(syscall.SIGCONT, w.PID)
		c.signal(syscall.SIGCONT, w.SupervisorPID)
	default:
		c.Fatalf("no step is %q", what)
	}
}

func (c *converge) isThere(w aWorker) bool {
	c.Helper()
	return slices.ContainsFunc(c.workers(), func(is aWorker) bool { return is.at == w.at && is.ID == w.ID })
}

// command runs rbee-launch on a machine.
func (c *converge) command(m *boxFolders, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(c.Context(), e2eLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.base.Path, args...)
	cmd.Args[0], cmd.Env, cmd.Dir = "rbee-launch", m.base.Env, m.base.Dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *converge) stopByHive(w aWorker) {
	c.Helper()
	d := c.daemons[w.at.name]
	if !d.up() {
		return
	}
	var answer any
	err := c.askFor(e2eLimit, http.MethodDelete, d.url+"/v1/hive/workers/"+w.ID, nil, &answer)
	var refused *registry.Refusal
	if err != nil && !(errors.As(err, &refused) && refused.Status == http.StatusNotFound) { // it has ended since
		c.Fatal(err)
	}
}

func (c *converge) stopByQueen(w aWorker) {
	c.Helper()
	d := c.daemons["queen"]
	if !d.up() {
		return
	}
	var answer any
	err := c.askFor(e2eLimit, http.MethodPost, d.url+"/v1/queen/workers/"+w.ID+"/stop", nil, &answer)
	c.note("  %v", err)
	if err != nil && c.settled && c.daemons["registry"].up() && c.daemons[w.at.name].up() && c.lives(w) {
		c.Fatal(err)
	}
}

// signal sends a signal to a process of a worker, if it is there.
func (c *converge) signal(sig syscall.Signal, pid int) {
	c.Helper()
	p, _, lives := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if pid <= 1 || !lives {
		return
	}
	if err := proctest.Signal(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		c.Fatal(err)
	}
	p.name = "" // it changes
	switch sig {
	case syscall.SIGKILL:
		awaitEnd(c.T, []proc{p}) // the kernel may take its time
	case syscall.SIGSTOP:
		c.frozen[p] = true
	case syscall.SIGCONT:
		delete(c.frozen, p)
	}
}

// isFrozen reports whether a process was frozen by us.
func (c *converge) isFrozen(pid int) bool {
	p, _, lives := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	p.name = ""
	return lives && c.frozen[p]
}

// thaw has everybody go on who is frozen.
func (c *converge) thaw() {
	for _, d := range c.daemons {
		c.freeze(d, syscall.SIGCONT)
	}
	for p := range c.frozen {
		if p.lives() {
			c.signal(syscall.SIGCONT, p.pid)
		}
	}
}
