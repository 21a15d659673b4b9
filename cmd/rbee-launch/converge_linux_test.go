package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The sequences that TestConvergence goes through: convergeSequencesEnv is how many,
// convergeSeedEnv the first one's, drawn when it is empty. convergeStepsEnv is a sequence
// to go through in their place, with a semicolon between two steps: one that failed, and
// what is left when steps are taken out of it.
const (
	convergeSequencesEnv = "RBEE_CONVERGE_SEQUENCES"
	convergeSeedEnv      = "RBEE_CONVERGE_SEED"
	convergeStepsEnv     = "RBEE_CONVERGE_STEPS"
)

// beat is the heartbeat interval of everyone here; the other intervals are to it as they
// are by default.
const beat = 500 * time.Millisecond

// TestConvergence: in whatever order a registry, a queen, two hives and their workers
// start, stop, hang, die and come back, the registry and the queen soon show exactly those
// as online that live, and each of these answers.
func TestConvergence(t *testing.T) {
	t.Parallel()
	if text := os.Getenv(convergeStepsEnv); text != "" {
		newConverge(t, &convergeTimes{}).run(strings.Split(text, ";"))
		return
	}
	count, err := strconv.Atoi(os.Getenv(convergeSequencesEnv))
	switch {
	case err == nil:
	case os.Getenv("RBEE_CI") == "1":
		count = 20
	default:
		count = 3
	}
	first, err := strconv.ParseUint(os.Getenv(convergeSeedEnv), 10, 64)
	if err != nil {
		first = rand.Uint64N(1_000_000)
	}
	times := &convergeTimes{}
	t.Cleanup(func() { t.Log(times) }) // after the sequences, which run side by side
	for seed := first; seed < first+uint64(count); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			steps := drawSteps(rand.New(rand.NewPCG(seed, 0)))
			newConverge(t, times).run(steps)
		})
	}
}

// convergeTimes are how long it took until everything was right, of all sequences.
type convergeTimes struct {
	mu    sync.Mutex
	ends  []time.Duration // after the last step of a sequence
	steps []time.Duration // after one step, in sequences that are checked after each
	late  []string        // those of more than two heartbeats
}

func (c *convergeTimes) add(took time.Duration, atEnd bool, after, wrong string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if atEnd {
		c.ends = append(c.ends, took)
	} else {
		c.steps = append(c.steps, took)
	}
	if took > 2*beat {
		c.late = append(c.late, fmt.Sprintf("%s after %s. Before that: %s", inBeats(took), after, strings.TrimSpace(wrong)))
	}
}

func inBeats(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(beat)) }

// String is for people: what is above two heartbeats is said singly.
func (c *convergeTimes) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := "converged, in heartbeats:"
	for _, of := range []struct {
		what  string
		times []time.Duration
	}{{"after sequences", c.ends}, {"after single steps", c.steps}} {
		if n := len(of.times); n > 0 {
			slices.Sort(of.times)
			said += fmt.Sprintf("\n%s, %d times: median %s, max %s", of.what, n, inBeats(of.times[n/2]), inBeats(of.times[n-1]))
		}
	}
	return said + fmt.Sprintf("\nmore than two, %d times: %s", len(c.late), strings.Join(c.late, "\n  "))
}

// condition of a daemon, as far as the steps go.
const (
	isDown   = "down"
	isUp     = "up"
	isFrozen = "frozen"
)

// drawSteps draws one sequence, each step of which makes sense after those before it. It
// begins with nothing running.
func drawSteps(r *rand.Rand) (steps []string) {
	const fewest, most = 8, 20
	checked := r.IntN(3) == 0 // after each step; else they follow each other as fast as can be
	is := map[string]string{}
	for _, d := range convergeDaemons {
		is[d] = isDown
	}
	workers := 0
	for range fewest + r.IntN(most-fewest) {
		step := drawStep(r, is, workers)
		foresee(step, is, &workers)
		steps = append(steps, step)
		if checked {
			steps = append(steps, "check")
		}
	}
	return steps
}

func drawStep(r *rand.Rand, is map[string]string, workers int) string {
	var from []string
	add := func(times int, step string) { from = append(from, slices.Repeat([]string{step}, times)...) }
	for _, d := range convergeDaemons {
		switch is[d] {
		case isDown:
			add(8, "start "+d)
		case isUp:
			for _, what := range []string{"stop ", "kill ", "restart ", "freeze "} {
				add(1, what+d)
			}
		case isFrozen:
			add(6, "thaw "+d)
			add(1, "kill "+d)
		}
	}
	model := fmt.Sprint("m", 1+r.IntN(3))
	if workers < maxConvergeWorkers {
		hives := 0
		for _, box := range []string{"box1", "box2"} {
			if is[box] == isUp {
				hives++
				add(4, "spawn "+box+" "+model)
				add(1, fmt.Sprintf("spawn-and-kill %s %s %dms", box, model, r.IntN(300)))
			}
		}
		if hives > 0 && is["queen"] == isUp && is["registry"] == isUp {
			add(6, "spawn queen "+model)
		}
	}
	if workers > 0 {
		which := fmt.Sprint(" ", r.IntN(workers))
		for _, what := range []string{
			"stop-by-hive", "stop-by-queen", "stop-by-launch", "kill-child", "kill-child", "kill-keeper", "kill-keeper",
			"freeze-child", "freeze-keeper", "thaw-worker",
		} {
			add(1, what+which)
		}
	}
	add(2, fmt.Sprintf("wait %dms", r.IntN(2000)))
	return from[r.IntN(len(from))]
}

// foresee keeps the picture in step that the next step is drawn by.
func foresee(step string, is map[string]string, workers *int) {
	what, whom, _ := strings.Cut(step, " ")
	whom, _, _ = strings.Cut(whom, " ")
	switch what {
	case "start", "restart", "thaw":
		is[whom] = isUp
	case "stop", "kill":
		is[whom] = isDown
	case "freeze":
		is[whom] = isFrozen
	case "spawn":
		*workers++
	case "spawn-and-kill":
		*workers++
		is[whom] = isDown
	case "stop-by-hive", "stop-by-queen", "stop-by-launch": // which may be refused
		*workers--
	}
}
