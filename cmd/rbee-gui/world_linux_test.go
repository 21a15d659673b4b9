package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// limit bounds each wait; all of them end as soon as what they wait for has happened.
const limit = time.Minute

// world is a cluster on this machine that is nobody else's.
type world struct {
	t        *testing.T
	dir      string
	registry *process
	gui      *process
}

// startWorld starts a registry and a page.
func startWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	config := filepath.Join(w.dir, "config", "rbee")
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "engines.yaml"), []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.clear)
	w.registry = w.start(program.RegistryName, "--listen=127.0.0.1:0")
	w.gui = w.startGUI("127.0.0.1:0")
	return w
}

// clear stops what a page that was killed has left.
func (w *world) clear() {
	dir := filepath.Join(w.dir, "run")
	left, _ := launch.List(dir) // none in a folder that was never made
	for _, l := range left {
		if err := launch.Stop(context.Background(), dir, l.ID, launch.StopOptions{Grace: new(time.Duration)}, nil); err != nil {
			w.t.Error(err)
		}
	}
	// A keeper, whose job names its folders, has a last word to log.
	for end := time.Now().Add(limit); proctest.Mentioned(w.dir + "/"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("keepers are left")
		}
	}
}

// startGUI has the page at an address. What it starts ends with it.
func (w *world) startGUI(addr string) *process {
	w.t.Helper()
	return w.start(program.GUIName, "--listen="+addr, "--registry-url="+w.registry.url, "--models=/srv/models", "--stop-workers",
		"--ports=16600-16999", "--heartbeat-interval=1s")
}

// process is one of our programs.
type process struct {
	cmd   *exec.Cmd
	addr  string
	url   string
	ended chan struct{}

	mu     sync.Mutex
	output bytes.Buffer
	said   chan struct{} // holds one when there is more
}

var listens = regexp.MustCompile(`listens" addr=(\S+)`)

// start runs a program until the test ends, and waits until it listens.
func (w *world) start(name string, args ...string) *process {
	w.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{ended: make(chan struct{}), said: make(chan struct{}, 1)}
	p.cmd = &exec.Cmd{Path: path, Args: append([]string{name}, args...), Dir: w.dir, Stdout: p, Stderr: p, Env: w.env()}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	w.t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		if w.t.Failed() {
			w.t.Logf("%s: %s", name, p.text())
		}
	})
	late := time.After(limit)
	for {
		if m := listens.FindStringSubmatch(p.text()); m != nil {
			p.addr, p.url = m[1], "http://"+m[1]
			return p
		}
		select {
		case <-p.said:
		case <-p.ended:
			w.t.Fatalf("%s ended: %s", name, p.text())
		case <-late:
			w.t.Fatalf("%s does not listen: %s", name, p.text())
		}
	}
}

func (w *world) env() []string {
	env := []string{"GORACE=atexit_sleep_ms=0", "PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"HOME=home", "XDG_CONFIG_HOME=config", "RBEE_RUNTIME_DIR=run", "RBEE_STATE_DIR=state"} {
		key, dir, _ := strings.Cut(name, "=")
		env = append(env, key+"="+filepath.Join(w.dir, dir))
	}
	return env
}

// end ends it, and waits for that.
func (p *process) end(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // one that has ended is well, too
	<-p.ended
}

func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.said <- struct{}{}:
	default:
	}
	return p.output.Write(text)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// client is the registry's.
func (w *world) client() *registry.Client {
	w.t.Helper()
	c, err := registry.NewClient(registry.Config{URL: w.registry.url})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

// register makes a worker known that is on another machine, and answers nobody.
func (w *world) register(id string) {
	w.t.Helper()
	if _, err := w.client().Register(w.t.Context(), registry.Component{
		Kind: registry.Worker, ID: id, InstanceID: "i", Hostname: "box2", Port: 8080, WorkerType: "llm",
	}); err != nil {
		w.t.Fatal(err)
	}
}

// spawn has the page's server start a worker, and waits until that is ready. It gives its
// id.
func (w *world) spawn(request string) string {
	w.t.Helper()
	type operation struct {
		ID       string `json:"operation_id"`
		Status   string
		WorkerID string `json:"worker_id"`
		Error    any
	}
	var op operation
	w.ask(http.MethodPost, "/api/here/v1/hive/workers", request, &op)
	for end := time.Now().Add(limit); op.Status != "succeeded"; time.Sleep(20 * time.Millisecond) {
		if w.ask(http.MethodGet, "/api/here/v1/hive/operations/"+op.ID, "", &op); op.Status == "failed" || time.Now().After(end) {
			w.t.Fatalf("the worker did not start: %v", op)
		}
	}
	return op.WorkerID
}

// ask asks the page's server, and reads its JSON.
func (w *world) ask(method, path, body string, into any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.gui.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s, %s, %v", method, path, resp.Status, text, err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		w.t.Fatalf("%s %s: %s: %v", method, path, text, err)
	}
}
