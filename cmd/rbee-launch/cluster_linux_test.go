package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// cluster is a registry and a queen on the first of three machines, and hives on the
// others.
type cluster struct {
	*testing.T
	lan                   *machine
	front, left, right    *machine
	token                 string
	registryURL, queenURL string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	lan, all := newNetwork(t, "box1", "box2", "box3")
	c := &cluster{T: t, lan: lan, front: all[0], left: all[1], right: all[2]}
	c.registryURL = "http://" + c.front.addr + ":7830"
	c.queenURL = "http://" + c.front.addr + ":7833"
	beats := []string{"--heartbeat-interval", "500ms"}
	c.front.start(c.registryURL, "rbee-registry", "--online-window", "3s")
	c.shareToken()
	c.front.start(c.registryURL, "queen-rbee", append(beats, "--offline-after", "3s")...)
	c.left.start(c.registryURL, "rbee-hive", beats...)
	// The other one is there before its network is.
	c.right.ip("address", "flush", "dev", "eth0")
	c.right.start(c.registryURL, "rbee-hive", beats...)
	c.until("a hive without a network", func() error { return c.ask(c.right, "GET", "http://127.0.0.1:7835/health", nil, nil) })
	c.right.plugIn()
	return c
}

// shareToken copies the token that the first daemon has made to the other machines.
func (c *cluster) shareToken() {
	c.Helper()
	path := func(m *machine) string { return filepath.Join(m.folder("RBEE_STATE_DIR"), "token") }
	var text []byte
	c.until("there is a token", func() (err error) {
		if text, err = os.ReadFile(path(c.front)); err == nil && len(text) == 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	c.token = strings.TrimSpace(string(text))
	for _, m := range []*machine{c.left, c.right} {
		if err := os.MkdirAll(m.folder("RBEE_STATE_DIR"), 0o700); err != nil {
			c.Fatal(err)
		}
		if err := os.WriteFile(path(m), text, 0o600); err != nil {
			c.Fatal(err)
		}
	}
}

// until tries again until there is no error.
func (c *cluster) until(what string, try func() error) {
	c.Helper()
	for deadline := time.Now().Add(e2eLimit); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s: not within %s: %v", what, e2eLimit, err)
		}
	}
}

// ask sends a request from a machine and decodes a good answer into out.
func (c *cluster) ask(from *machine, method, url string, body, out any) error {
	status, answer, err := c.try(from, method, url, body)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return fmt.Errorf("%s %s: %d %s", method, url, status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (c *cluster) try(from *machine, method, url string, body any) (status int, answer []byte, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(c.Context(), method, url, bytes.NewReader(text))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := from.client().Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// seen is what the registry lists and the queen, as they tell a machine.
type seen struct {
	registry.Snapshot
	workers []client.Worker
	hives   []client.Hive
}

func (c *cluster) seenFrom(m *machine) (s seen, err error) {
	if err = c.ask(m, "GET", c.registryURL+"/v1/registry/components", nil, &s.Snapshot); err != nil {
		return s, err
	}
	if err = c.ask(m, "GET", c.queenURL+"/v1/queen/workers", nil, &s.workers); err != nil {
		return s, err
	}
	return s, c.ask(m, "GET", c.queenURL+"/v1/queen/hives", nil, &s.hives)
}

// await waits until registry and queen agree that so many workers and hives are there, and
// that those on the machines given are online, and no others.
func (c *cluster) await(workers int, online ...*machine) {
	c.Helper()
	stands := func(host string, status registry.Status) error {
		want := registry.Offline
		if slices.ContainsFunc(online, func(m *machine) bool { return m.addr == host }) {
			want = registry.Online
		}
		if status != want {
			return fmt.Errorf("one at %s is %s", host, status)
		}
		return nil
	}
	c.until(fmt.Sprintf("%d workers, online are those on %d machines", workers, len(online)), func() error {
		s, err := c.seenFrom(c.front)
		if err != nil {
			return err
		}
		if len(s.Workers) != workers || len(s.workers) != workers || len(s.Hives) != 2 || len(s.hives) != 2 || s.Queen == nil {
			return fmt.Errorf("there are %+v", s)
		}
		for _, e := range append(s.Hives, s.Workers...) {
			if err := stands(e.Hostname, e.Status); err != nil {
				return fmt.Errorf("registry: %w", err)
			}
		}
		for _, w := range s.workers {
			if err := stands(w.Hostname, w.Status); err != nil {
				return fmt.Errorf("queen: %w", err)
			}
			if !slices.Contains(w.KnownFrom, "queen") { // whom it found through the registry
				return fmt.Errorf("%s has not registered with the queen", w.WorkerID)
			}
		}
		for _, h := range s.hives {
			if err := stands(h.Hostname, h.Status); err != nil {
				return fmt.Errorf("queen: %w", err)
			}
		}
		return nil
	})
}

// spawn has the queen spawn a worker of the built-in kind, and returns it when its
// operation has ended well.
func (c *cluster) spawn(from *machine, model, hiveID string) *hive.WorkerProcess {
	c.Helper()
	job := client.Job{SpawnRequest: hive.SpawnRequest{WorkerType: "llm", Engine: "builtin", Model: model}, HiveID: hiveID}
	var op hive.Operation
	if err := c.ask(from, "POST", c.queenURL+"/v1/queen/spawn-worker", job, &op); err != nil {
		c.Fatal(err)
	}
	c.until("the operation ends", func() error {
		if err := c.ask(from, "GET", c.queenURL+"/v1/queen/operations/"+op.ID, nil, &op); err != nil {
			return err
		}
		if op.Status == hive.Running {
			return fmt.Errorf("it is at %q", op.Phase)
		}
		return nil
	})
	if op.Status != hive.Succeeded || op.Worker == nil || op.Why == "" || hiveID != "" && op.HiveID != hiveID {
		c.Fatalf("a spawn ended as %+v, %+v", op, op.Error)
	}
	return op.Worker
}

// reachable wants everyone whom registry and queen name to a machine to take connections
// from there.
func (c *cluster) reachable(from *machine) {
	c.Helper()
	s, err := c.seenFrom(from)
	if err != nil {
		c.Fatal(err)
	}
	named := map[string]string{}
	for _, e := range append(append(s.Hives, s.Workers...), *s.Queen) {
		named["registry: "+e.ID] = addr(e)
	}
	for _, w := range s.workers {
		named["queen: "+w.WorkerID] = net.JoinHostPort(w.Hostname, strconv.Itoa(w.Port))
	}
	for _, h := range s.hives {
		named["queen: "+h.HiveID] = net.JoinHostPort(h.Hostname, strconv.Itoa(h.Port))
	}
	if want := 2*(2+2) + 1; len(named) != want {
		c.Errorf("%s is told of %d, not %d: %v", from.name, len(named), want, named)
	}
	for who, at := range named {
		host, _, _ := net.SplitHostPort(at)
		conn, err := from.dial(c.Context(), "tcp", at)
		if err != nil || registry.Loopback(host) {
			c.Errorf("%s is told that %s is at %s: %v", from.name, who, at, err)
			continue
		}
		conn.Close()
	}
}

func worksAt(w *hive.WorkerProcess) string { return fmt.Sprintf("http://%s:%d", w.Hostname, w.Port) }

// TestThreeMachines: hives on two machines, and whom they answer to on a third. Workers
// are spawned on each through the queen and answer chats; a cable is pulled, and plugged
// in again.
func TestThreeMachines(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.await(0, c.left, c.right)

	first := c.spawn(c.right, "first", "") // on either
	otherHive := c.left
	if first.HiveID == c.left.name {
		otherHive = c.right
	}
	second := c.spawn(c.right, "second", otherHive.name)
	for _, w := range []*hive.WorkerProcess{first, second} {
		at := map[string]*machine{c.left.name: c.left, c.right.name: c.right}[w.HiveID]
		if at == nil || w.Hostname != at.addr || w.WorkerID != registry.WorkerID("llm", w.Port, at.addr) || !strings.HasSuffix(w.WorkerID, "@"+at.addr) {
			t.Errorf("a worker of %s is %+v", w.HiveID, w)
		}
	}
	c.await(2, c.left, c.right)
	for _, m := range []*machine{c.front, c.left, c.right} {
		c.reachable(m)
	}
	for _, w := range []*hive.WorkerProcess{first, second} {
		wantAnswer(t, c.front.client(), worksAt(w), c.token, w.Model)
		wantAnswer(t, c.left.client(), c.queenURL, c.token, w.Model)
		c.wantNoStranger(worksAt(w))
	}
	c.wantNoStranger(c.queenURL)
	for _, m := range []*machine{c.front, c.right} { // with the token in the state folder
		if out, err := m.command(c.registryURL, "rbee-launch", "ps", "--all").CombinedOutput(); err != nil || !strings.Contains(string(out), first.WorkerID) {
			t.Errorf("ps --all on %s: %v: %s", m.name, err, out)
		}
	}

	c.cut(first, second, otherHive)

	for _, w := range []*hive.WorkerProcess{first, second} {
		if err := c.ask(c.left, "POST", c.queenURL+"/v1/queen/workers/"+w.WorkerID+"/stop", nil, nil); err != nil {
			t.Error(err)
		}
	}
	c.await(0, c.left, c.right)
	for _, m := range []*machine{c.left, c.right} {
		for _, line := range m.processes() {
			if strings.Contains(line, "llm-worker-rbee") || strings.Contains(line, "rbee-guard") {
				t.Errorf("%s runs on on %s", line, m.name)
			}
		}
	}
	c.bare()
}

// bare starts workers that no launcher has: two at the same port of their machines, and one
// that is to be its own machine's alone.
func (c *cluster) bare() {
	c.Helper()
	beats := []string{"--heartbeat-interval", "500ms"}
	c.front.start(c.registryURL, "llm-worker-rbee", append(beats, "--port", "8199")...)
	c.right.start(c.registryURL, "llm-worker-rbee", append(beats, "--port", "8199")...)
	c.left.start(c.registryURL, "llm-worker-rbee", append(beats, "--port", "8199", "--host", "127.0.0.1")...)
	c.until("a worker for its own machine says so", func() error {
		log, err := os.ReadFile(filepath.Join(c.left.dir, "llm-worker-rbee.log"))
		if err == nil && !strings.Contains(string(log), "it is not registered there; --host ADDRESS names another") {
			err = fmt.Errorf("it says %s", log)
		}
		return err
	})
	c.await(2, c.front, c.left, c.right)
	c.reachable(c.left)
	for _, m := range []*machine{c.front, c.right} {
		worker := hive.WorkerProcess{Hostname: m.addr, Port: 8199}
		wantAnswer(c.T, c.left.client(), worksAt(&worker), c.token, "rbee-simulation")
		c.wantNoStrangerFrom(c.left, worksAt(&worker))
	}
	wantAnswer(c.T, c.left.client(), c.queenURL, c.token, "rbee-simulation")
}

// wantNoStranger wants a chat without the token to be refused, from whatever machine.
func (c *cluster) wantNoStranger(base string) {
	c.Helper()
	c.wantNoStrangerFrom(c.front, base)
}

func (c *cluster) wantNoStrangerFrom(m *machine, base string) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), http.MethodPost, base+"/v1/chat/completions", strings.NewReader("{}"))
	if err != nil {
		c.Fatal(err)
	}
	resp, err := m.client().Do(req)
	if err != nil {
		c.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		c.Errorf("%s answers who has no token with %s", base, resp.Status)
	}
}

// cut pulls the cable of the machine that the second worker is on, and plugs it in again.
func (c *cluster) cut(stays, goes *hive.WorkerProcess, pulled *machine) {
	c.Helper()
	rest := c.left
	if pulled == c.left {
		rest = c.right
	}
	wantAnswer(c.T, rest.client(), c.queenURL, c.token, goes.Model)
	c.lan.ip("link", "set", pulled.name, "down")
	began := time.Now()
	// The queen has a connection from a moment ago, at whose other end is nobody any more.
	chat := map[string]any{"model": goes.Model, "messages": []any{}}
	status, answer, err := c.try(rest, "POST", c.queenURL+"/v1/chat/completions", chat)
	if err != nil || status != http.StatusBadGateway && status != http.StatusServiceUnavailable {
		c.Errorf("a chat when the cable has just been pulled is answered with %d %s %v", status, answer, err)
	}
	c.Logf("after %s a chat got %d %s", time.Since(began), status, answer)
	c.await(2, rest)
	c.Logf("%s was offline everywhere %s after its cable was pulled", pulled.name, time.Since(began))
	wantAnswer(c.T, rest.client(), c.queenURL, c.token, stays.Model)
	status, answer, err = c.try(rest, "POST", c.queenURL+"/v1/chat/completions", chat)
	if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(string(answer), "no_worker_online") {
		c.Errorf("a chat with a model that is cut off is answered with %d %s %v", status, answer, err)
	}
	job := client.Job{SpawnRequest: hive.SpawnRequest{Engine: "builtin"}, HiveID: pulled.name}
	status, answer, err = c.try(rest, "POST", c.queenURL+"/v1/queen/spawn-worker", job)
	if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(string(answer), pulled.name+": it is offline") {
		c.Errorf("a spawn by %s is answered with %d %s %v", pulled.name, status, answer, err)
	}
	if !slices.ContainsFunc(pulled.processes(), func(line string) bool { return strings.Contains(line, goes.WorkerID) }) {
		c.Errorf("%s does not run on: %q", goes.WorkerID, pulled.processes())
	}

	c.lan.ip("link", "set", pulled.name, "up")
	began = time.Now()
	c.await(2, c.left, c.right)
	c.Logf("and back everywhere %s after it was plugged in again", time.Since(began))
	var again hive.WorkerProcess
	url := fmt.Sprintf("http://%s:7835/v1/hive/workers/%s", pulled.addr, goes.WorkerID)
	if err := c.ask(c.front, "GET", url, nil, &again); err != nil || again.InstanceID != goes.InstanceID || again.Restarts != 0 {
		c.Errorf("it is %+v, was %+v: %v", again, goes, err)
	}
	wantAnswer(c.T, pulled.client(), c.queenURL, c.token, goes.Model)
}
