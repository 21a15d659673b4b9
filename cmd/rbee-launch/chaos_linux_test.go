package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
)

// The sequences that TestChaos goes through: chaosRoundsEnv is how many, none when it is
// empty, since what they find next is not for every run of the tests to find;
// chaosSeedEnv is the first one's, drawn when it is empty.
const (
	chaosSeedEnv   = "RBEE_CHAOS_SEED"
	chaosRoundsEnv = "RBEE_CHAOS_ROUNDS"
)

// TestChaos: whatever is asked of launches, whoever is killed, and in whatever order, each
// launch is there with one child that serves, or gone without a trace.
func TestChaos(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(chaosRoundsEnv))
	if err != nil {
		t.Skip(chaosRoundsEnv + " says how many random sequences to go through; `just chaos` does")
	}
	t.Parallel()
	const steps = 25
	first, err := strconv.ParseUint(os.Getenv(chaosSeedEnv), 10, 64)
	if err != nil {
		first = rand.Uint64N(1_000_000)
	}
	url, client := matrixRegistry(t)
	for seed := first; seed < first+uint64(rounds); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newChaos(t, url, client)
			c.draw = rand.New(rand.NewPCG(seed, 0))
			for range steps {
				c.step()
			}
			c.run("stop", "--all", "--grace", "0")
			c.settle(nil, gone)
			if left := c.processes(); len(left) > 0 {
				c.Errorf("these are left: %v", left)
			}
		})
	}
}

// outcome is what is to come of a launch; one that is not there has no id.
type outcome func(was, is launch.Launch) bool

func there(_, is launch.Launch) bool { return is.ID != "" }
func gone(_, is launch.Launch) bool  { return is.ID == "" }
func same(was, is launch.Launch) bool {
	return is.ID == was.ID && is.PID == was.PID && is.InstanceID == was.InstanceID && is.Status == was.Status
}

func adopted(was, is launch.Launch) bool {
	was.Status = launch.IsReady
	return same(was, is)
}

func orphaned(was, is launch.Launch) bool {
	was.Status = launch.IsOrphaned
	return same(was, is)
}

func again(was, is launch.Launch) bool {
	return is.Status == launch.IsReady && is.PID != was.PID && is.InstanceID > was.InstanceID
}

// step does one thing to one launch, and waits for what is to come of it. The others are
// to stay as they are.
func (c *chaos) step() {
	c.Helper()
	l := c.launches[c.draw.IntN(len(c.launches))]
	l.was = c.now[l.id]
	steps := []string{
		"kill sidecar", "kill sidecar", "kill sidecar", "kill guard", "kill child", "kill sidecar and guard", "kill guard and child",
		"stop", "stop at once", "restart", "upgrade", "frozen", "frozen", "two commands", "two commands", "launch refused",
		"terminate", "terminate the upgraded", "guard frozen", "kill during", "kill during", "kill during",
	}
	switch l.was.Status {
	case "":
		steps = []string{"launch", "launch", "two launches", "kill during launch"}
	case launch.IsOrphaned:
		steps = []string{
			"adopt", "adopt", "adopt frozen", "kill during", "kill during", "kill guard", "kill child", "two commands", "two commands",
			"stop", "stop at once", "restart refused", "upgrade refused", "launch refused",
		}
	}
	name := c.one(steps...)
	c.note("%s: %s, %s: %s", l.id, l.was.Status, l.policy, name)
	c.settle(l, c.do(name, l))
}

// do does one step, and says what is to come of the launch.
func (c *chaos) do(step string, l *chaosLaunch) outcome {
	c.Helper()
	switch step {
	case "launch":
		l.policy = c.one("keep", "kill")
		c.succeeds(l.command("launch")...)
		return there
	case "two launches":
		l.policy = c.one("keep", "kill")
		if codes := c.atOnce(l, "launch", "launch"); (codes[0] == 0) == (codes[1] == 0) {
			c.Fatalf("two launches of one id end with exit codes %v", codes)
		}
		return there
	case "launch refused", "restart refused", "upgrade refused":
		kind, _, _ := strings.Cut(step, " ")
		c.fails(l.command(kind)...)
		return same
	case "stop", "stop at once":
		c.succeeds(l.command(step)...)
		return gone
	case "restart":
		c.succeeds("restart", l.id)
		return again
	case "upgrade":
		c.succeeds("upgrade", l.id)
		return same
	case "adopt frozen":
		c.signal(syscall.SIGSTOP, c.guardOf(l.id))
		return c.do("adopt", l)
	case "adopt":
		c.succeeds("adopt", l.id)
		return adopted
	case "terminate":
		c.signal(syscall.SIGTERM, l.was.SupervisorPID)
		return gone
	case "terminate the upgraded":
		return c.terminateUpgraded(l)
	case "kill during launch":
		l.policy = c.one("keep", "kill")
		return c.killDuring("launch", l)
	case "kill during":
		return c.killDuring(c.one("restart", "upgrade", "adopt", "stop", "stop at once"), l)
	case "frozen":
		return c.frozen(l)
	case "guard frozen":
		c.signal(syscall.SIGSTOP, c.guardOf(l.id))
		what := c.one("stop", "stop at once", "restart", "upgrade")
		c.note("  then %s", what)
		return c.do(what, l)
	case "two commands":
		return c.twoCommands(l)
	default:
		return c.murder(step, l)
	}
}

// murder kills some of a launch's processes.
func (c *chaos) murder(whom string, l *chaosLaunch) outcome {
	c.Helper()
	orphan := l.was.Status == launch.IsOrphaned
	switch whom {
	case "kill sidecar":
		c.kill(l.was.SupervisorPID)
		if l.policy == "keep" {
			return orphaned
		}
		return gone
	case "kill sidecar and guard":
		c.kill(l.was.SupervisorPID, c.guardOf(l.id))
		return gone
	case "kill guard":
		c.kill(c.guardOf(l.id))
	case "kill guard and child":
		c.kill(c.guardOf(l.id), l.was.PID)
	case "kill child":
		c.kill(l.was.PID)
	default:
		c.Fatalf("no step is %q", whom)
	}
	if orphan {
		return gone
	}
	return again
}

// frozen stops the sidecar's process, and has something else happen before it goes on.
func (c *chaos) frozen(l *chaosLaunch) outcome {
	c.Helper()
	c.signal(syscall.SIGSTOP, l.was.SupervisorPID)
	what := c.one("stop", "stop at once", "kill sidecar", "kill guard", "kill child", "adopt", "restart", "upgrade", "launch")
	c.note("  meanwhile %s", what)
	var want outcome
	switch what {
	case "stop", "stop at once": // it is not answered, and kills
		c.succeeds(l.command(what)...)
		return gone
	case "kill sidecar", "kill guard", "kill child":
		want = c.murder(what, l)
	case "adopt", "launch":
		c.fails(l.command(what)...)
		want = same
	case "restart": // what was asked may be heard later
		c.fails(l.command(what)...)
		want = there
	case "upgrade":
		c.fails(l.command(what)...)
		want = same
	}
	if what != "kill sidecar" {
		c.signal(syscall.SIGCONT, l.was.SupervisorPID)
	}
	return want
}

// terminateUpgraded sends SIGTERM some time into an upgrade. It comes to the new program
// before that can take a signal, at worst, and ends it then.
func (c *chaos) terminateUpgraded(l *chaosLaunch) outcome {
	var upgrading sync.WaitGroup
	told := ""
	upgrading.Go(func() { _, told = c.try(l.command("upgrade")...) })
	time.Sleep(time.Duration(c.draw.IntN(100)) * time.Millisecond)
	c.signal(syscall.SIGTERM, l.was.SupervisorPID)
	upgrading.Wait()
	c.note("%s", told)
	return func(was, is launch.Launch) bool {
		return gone(was, is) || (l.policy == "keep" && orphaned(was, is))
	}
}

// killDuring kills whoever has the launch some time into a command.
func (c *chaos) killDuring(kind string, l *chaosLaunch) outcome {
	whom := c.one("sidecar", "guard", "both", "child")
	c.note("  %s, and kill %s", kind, whom)
	var running sync.WaitGroup
	told := ""
	running.Go(func() { _, told = c.try(l.command(kind)...) })
	time.Sleep(time.Duration(c.draw.IntN(60)) * time.Millisecond)
	now := c.recorded(l.id)
	switch whom {
	case "sidecar":
		c.end(now.Launcher)
	case "guard":
		c.end(now.Guard)
	case "both":
		c.end(now.Launcher, now.Guard)
	case "child":
		c.end(now.Child)
	}
	running.Wait()
	c.note("%s", told)
	return func(_, _ launch.Launch) bool { return true }
}

// twoCommands are given at the same moment.
func (c *chaos) twoCommands(l *chaosLaunch) outcome {
	c.Helper()
	kinds := []string{"stop", "stop at once", "restart", "upgrade", "adopt"}
	one, other := c.one(kinds...), c.one(kinds...)
	c.note("  %s and %s", one, other)
	codes := c.atOnce(l, one, other)
	stops := []string{"stop", "stop at once"}
	switch {
	case codes[0] == 0 && slices.Contains(stops, one), codes[1] == 0 && slices.Contains(stops, other):
		return gone
	case slices.Contains(stops, one) || slices.Contains(stops, other):
		c.Fatalf("%s and %s end with exit codes %v", one, other, codes)
	}
	return there
}

func (c *chaos) one(of ...string) string { return of[c.draw.IntN(len(of))] }

// atOnce runs two commands side by side and returns their exit codes.
func (c *chaos) atOnce(l *chaosLaunch, kinds ...string) []int {
	c.Helper()
	said, codes := make([]string, len(kinds)), make([]int, len(kinds))
	var all sync.WaitGroup
	for i, kind := range kinds {
		all.Go(func() { codes[i], said[i] = c.try(l.command(kind)...) })
	}
	all.Wait()
	for _, text := range said {
		c.note("%s", text)
	}
	return codes
}
