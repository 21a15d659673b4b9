package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// chatThroughQueen sends each request to the queen, for a model; else each living worker
// is asked itself.
const chatThroughQueen = false

// view is who is online: "hive box1", "worker ID INSTANCE at box1", "queen".
type view map[string]bool

func (v view) String() string { return fmt.Sprint(slices.Sorted(maps.Keys(v))) }

func (v view) equals(other view) bool { return maps.Equal(v, other) }

// of is the part of the view that a condition chooses.
func (v view) of(choose func(string) bool) view {
	part := view{}
	for who := range v {
		if choose(who) {
			part[who] = true
		}
	}
	return part
}

func workerKey(id, instance string) string { return "worker " + id + " " + instance }

// lives reports whether a worker is ready and somebody beats for it.
func (c *converge) lives(w aWorker) bool {
	return w.Status == launch.IsReady && !c.isFrozen(w.SupervisorPID)
}

// living are those who live, and their workers.
func (c *converge) living() (view, []aWorker) {
	c.Helper()
	live, workers := view{}, []aWorker{}
	for name, d := range c.daemons {
		switch {
		case !d.up() || name == "registry":
		case name == "queen":
			live[name] = true
		default:
			live["hive "+name] = true
		}
	}
	for _, w := range c.workers() {
		if c.lives(w) {
			live[workerKey(w.ID, w.InstanceID)] = true
			workers = append(workers, w)
		}
	}
	return live, workers
}

// registryView is whom the registry shows as online.
func (c *converge) registryView() (view, error) {
	var all registry.Snapshot
	if err := c.ask(http.MethodGet, c.daemons["registry"].url+"/v1/registry/components", nil, &all); err != nil {
		return nil, err
	}
	seen := view{}
	for _, e := range append(all.Workers, all.Hives...) {
		switch {
		case e.Status != registry.Online:
		case e.Kind == registry.Hive:
			seen["hive "+e.ID] = true
		default:
			seen[workerKey(e.ID, e.InstanceID)] = true
		}
	}
	if all.Queen != nil && all.Queen.Status == registry.Online {
		seen["queen"] = true
	}
	return seen, nil
}

// queenView is whom the queen shows as online. She is always there for herself.
func (c *converge) queenView() (view, error) {
	var workers []queen.Worker
	var hives []queen.Hive
	url := c.daemons["queen"].url
	if err := c.ask(http.MethodGet, url+"/v1/queen/workers", nil, &workers); err != nil {
		return nil, err
	}
	if err := c.ask(http.MethodGet, url+"/v1/queen/hives", nil, &hives); err != nil {
		return nil, err
	}
	seen := view{"queen": true}
	for _, w := range workers {
		if w.Status == registry.Online {
			seen[workerKey(w.WorkerID, w.InstanceID)] = true
		}
	}
	for _, h := range hives {
		if h.Status == registry.Online {
			seen["hive "+h.HiveID] = true
		}
	}
	return seen, nil
}

// wrong says what is not as it has to be; "" for nothing. Who is not there is not asked:
// without a registry, the queen knows the workers that come to her, and no more.
func (c *converge) wrong() string {
	c.Helper()
	before, workers := c.living()
	wrong := ""
	if c.daemons["registry"].up() {
		if seen, err := c.registryView(); err != nil || !seen.equals(before) {
			wrong += fmt.Sprintf("the registry shows %s, %v\n", seen, err)
		}
	}
	if c.daemons["queen"].up() {
		seen, err := c.queenView()
		want := before
		if !c.daemons["registry"].up() {
			direct := c.direct(workers)
			seen, want = seen.of(direct), want.of(direct)
		}
		if err != nil || !seen.equals(want) {
			wrong += fmt.Sprintf("the queen shows %s, %v\n", seen, err)
		}
	}
	wrong += c.unkept()
	if wrong == "" {
		wrong = c.chats(workers)
	}
	if after, _ := c.living(); !after.equals(before) {
		return fmt.Sprintf("%s lived, then %s", before, after) // it was still going on
	}
	if wrong == "" {
		return ""
	}
	return fmt.Sprintf("%s live\n%s", before, wrong)
}

// unkept are workers whose keeper was killed, though their hive is there to give them
// another; "" for none.
func (c *converge) unkept() (wrong string) {
	c.Helper()
	for _, w := range c.workers() {
		if w.Status == launch.IsOrphaned && c.daemons[w.at.name].up() && !c.isFrozen(w.PID) { // that one has to answer first
			wrong += fmt.Sprintf("nobody keeps %s\n", w.ID)
		}
	}
	return wrong
}

// direct chooses the workers that come to the queen themselves.
func (c *converge) direct(workers []aWorker) func(string) bool {
	known := map[string]bool{}
	for _, w := range workers {
		known[workerKey(w.ID, w.InstanceID)] = w.at.direct
	}
	return func(who string) bool { return known[who] }
}

// chats wants an answer for each living model; "" if there is.
func (c *converge) chats(workers []aWorker) (wrong string) {
	asked := map[string]string{} // models by where they are asked for
	for _, w := range workers {
		if !chatThroughQueen {
			asked[w.URL] = w.Model
		} else if q := c.daemons["queen"]; q.up() && (w.at.direct || c.daemons["registry"].up()) {
			asked[q.url+"/?"+w.Model] = w.Model
		}
	}
	for url, model := range asked {
		if chatThroughQueen {
			url = c.daemons["queen"].url
		}
		var answer struct {
			Model string `json:"model"`
		}
		question := map[string]any{"model": model, "messages": []any{map[string]string{"role": "user", "content": "Hello"}}}
		if err := c.ask(http.MethodPost, url+"/v1/chat/completions", question, &answer); err != nil || answer.Model != model {
			wrong += fmt.Sprintf("%s does not answer as %s: %+v, %v\n", url, model, answer, err)
		}
	}
	return wrong
}

// settle waits until nothing is wrong, and notes how long that took. More than ten times
// what it should take is a failure.
func (c *converge) settle(atEnd bool, after string) {
	c.Helper()
	const should, most = 2 * beat, 10 * 2 * beat
	last := ""
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		wrong := c.wrong()
		took := time.Since(began)
		switch {
		case wrong == "" && took > most:
			c.Fatalf("it took %s heartbeats until all was right after %s", inBeats(took), after)
		case wrong == "":
			lives, _ := c.living()
			c.note("  right after %s heartbeats: %s", inBeats(took), lives)
			c.times.add(took, atEnd, after, last)
			c.settled = true
			return
		case took > e2eLimit:
			c.Fatalf("after %s, and %s heartbeats, still: %s", after, inBeats(took), wrong)
		}
		if took > should && wrong != last {
			c.note("%s", wrong)
			last = wrong
		}
	}
}

// staysSo wants nobody who is dead to come back as online in the two heartbeats that
// follow: late words of theirs may be under way.
func (c *converge) staysSo() {
	c.Helper()
	for end := time.Now().Add(2 * beat); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		allowed, _ := c.living()
		inRegistry, err := c.registryView()
		c.check(err)
		atQueen, err := c.queenView()
		c.check(err)
		after, _ := c.living()
		maps.Copy(allowed, after)
		for _, seen := range []view{inRegistry, atQueen} {
			if back := seen.of(func(who string) bool { return !allowed[who] }); len(back) > 0 {
				c.Fatalf("%s are online, and do not live", back)
			}
		}
	}
}

// nothingIsLeft ends everyone in good order, and wants no process, port or file of theirs
// to be left.
func (c *converge) nothingIsLeft() {
	c.Helper()
	for _, m := range c.machines {
		out, err := c.command(m, "stop", "--all")
		c.note("stop --all on %s: %s %v", m.name, out, err)
		c.check(err)
	}
	c.settle(false, "stop --all")
	for _, name := range []string{"box1", "box2", "queen", "registry"} {
		c.end(c.daemons[name], syscall.SIGTERM)
	}
	for _, m := range c.machines {
		var left []int
		for deadline := time.Now().Add(e2eLimit / 4); ; time.Sleep(10 * time.Millisecond) {
			left = m.processes()
			if len(left) == 0 || time.Now().After(deadline) {
				break
			}
		}
		if len(left) > 0 {
			c.Errorf("on %s these processes are left: %v", m.name, left)
		}
		if files, _ := filepath.Glob(filepath.Join(m.runtime, "launches", "*")); len(files) > 0 {
			c.Errorf("on %s these files are left: %v", m.name, files)
		}
	}
	held, err := ports.Leases(c.Context(), ports.Config{Range: c.ports})
	c.check(err)
	if len(held) > 0 {
		c.Errorf("these ports are leased or taken: %+v", held)
	}
	for port := c.ports.First; port <= c.ports.Last; port++ {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			c.Errorf("a port is not free: %v", err)
			continue
		}
		c.check(ln.Close())
	}
}
