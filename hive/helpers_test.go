package hive_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
)

// patience is no measure of anything: it only ends a test that waits in vain.
const patience = 30 * time.Second

// profiles are the engines of these tests beside the built-in one: fake wants to be told
// of a model.
const profiles = `engines:
  - name: fake
    types: [fake]
    programs: [{run: llm-worker-rbee}]
    args: [--host, "{host}", --port, "{port}", --worker-id, "{worker_id}", --registry-url=, --queen-url=, --model, "{model}"]
    model: {needed: true, kinds: [gguf, hf, name]}
    ready: {path: /health, loading: 503}
    live: {path: /health}
    stop: {signal: SIGTERM, grace: 5s}
  - name: absent
    types: [absent]
    programs: [{run: /nowhere/at/all}]
    args: [x]
    ready: {path: /health}
    stop: {signal: SIGTERM, grace: 5s}
`

// box is a machine with a hive, in a folder of its own.
type box struct {
	t   *testing.T
	dir string
	cfg hive.Config
	url string
	to  *client.Client

	leave func() // ends the hive, once
}

// newBox starts a hive. Whatever it spawned ends with the test.
func newBox(t *testing.T, change func(*hive.Config)) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{t: t, dir: dir}
	file := filepath.Join(dir, "engines.yaml")
	if err := os.WriteFile(file, []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b.cfg = hive.Config{
		ID: "box", QueenURL: new(""), RuntimeDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"),
		Ports: ports.Range{First: 18000, Last: 18999}, EngineFile: file, ModelDirs: []string{filepath.Join(dir, "models")},
		Tend: 20 * time.Millisecond, HeartbeatInterval: 100 * time.Millisecond,
		Keeper: func(job string) hive.Command {
			return hive.Command{Path: self, Argv: []string{program.KeeperName, hive.KeepCommand, job}}
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&b.cfg)
	}
	t.Cleanup(b.clear)
	b.start()
	return b
}

// start runs the box's hive, in its first life or a later one.
func (b *box) start() {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	h, err := hive.New(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, ln); close(ended) }()
	b.leave = func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
	b.t.Cleanup(b.leave)
	b.url = "http://" + ln.Addr().String()
	if b.to, err = client.New(client.Config{URL: b.url}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.to.Close)
}

// clear stops whatever is left, and sees that nothing is.
func (b *box) clear() {
	ctx := context.WithoutCancel(b.t.Context())
	zero := time.Duration(0)
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		list, _ := launch.List(b.cfg.RuntimeDir) // none in a folder that can't be read
		for _, l := range list {
			_ = launch.Stop(ctx, b.cfg.RuntimeDir, l.ID, launch.StopOptions{Grace: &zero}, nil)
		}
		_, _ = launch.Clear(b.cfg.RuntimeDir)
		left, err := os.ReadDir(filepath.Join(b.cfg.RuntimeDir, "launches"))
		// A keeper's job names its folders; it may have a last word to log.
		if (err != nil || len(left) == 0) && !proctest.Mentioned(b.dir+"/") {
			return
		}
	}
	b.t.Error("launches, or their keepers, are left")
}

// builtin is a spawn of the built-in worker.
func builtin(args ...string) client.SpawnRequest {
	return client.SpawnRequest{Engine: "builtin", Model: "m", Args: args}
}

func (b *box) begin(req client.SpawnRequest) client.Operation {
	b.t.Helper()
	op, err := b.to.Spawn(b.t.Context(), req)
	if err != nil {
		b.t.Fatal(err)
	}
	return op
}

// follow follows an operation to its end; tell may be nil.
func (b *box) follow(id string, tell func(client.Event)) client.Operation {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if tell == nil {
		tell = func(client.Event) {}
	}
	op, err := b.to.Follow(ctx, id, tell)
	if err != nil {
		b.t.Fatal(err)
	}
	return op
}

// spawn has a worker spawned, which is to succeed.
func (b *box) spawn(args ...string) client.WorkerProcess {
	b.t.Helper()
	op := b.follow(b.begin(builtin(args...)).ID, nil)
	if op.Worker == nil {
		b.t.Fatalf("no worker: %+v %+v", op, op.Error)
	}
	return *op.Worker
}

// await waits until an operation tells of this, and returns its id.
func (b *box) await(op client.Operation, phase launch.EventType) (id string) {
	b.t.Helper()
	b.eventually(string(phase), func() bool {
		now, err := b.to.Operation(b.t.Context(), op.ID)
		if err != nil {
			b.t.Fatal(err)
		}
		return now.Phase == string(phase)
	})
	return op.ID
}

func (b *box) eventually(what string, is func() bool) {
	b.t.Helper()
	for limit := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			b.t.Fatalf("never: %s", what)
		}
	}
}

// ids are those of the workers that the hive lists.
func (b *box) ids() (ids []string) {
	b.t.Helper()
	list, err := b.to.Workers(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, w := range list {
		ids = append(ids, w.WorkerID)
	}
	return ids
}

// launched is a launch of this box, as anybody sees it who looks at its folder.
func (b *box) launched(id string) launch.Launch {
	b.t.Helper()
	list, err := launch.List(b.cfg.RuntimeDir)
	if err != nil {
		b.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(l launch.Launch) bool { return l.ID == id })
	if i < 0 {
		b.t.Fatalf("%s is not among %+v", id, list)
	}
	return list[i]
}

// guardOf is the pid of a launch's guard.
func (b *box) guardOf(id string) int {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.cfg.RuntimeDir, "launches", id+".json"))
	if err != nil {
		b.t.Fatal(err)
	}
	var state struct {
		Guard struct {
			PID int `json:"pid"`
		} `json:"guard"`
	}
	if err := json.Unmarshal(text, &state); err != nil || state.Guard.PID == 0 {
		b.t.Fatalf("no guard in %s: %v", text, err)
	}
	return state.Guard.PID
}

func (b *box) kill(pids ...int) {
	b.t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			b.t.Fatal(err)
		}
	}
}

func isGone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// ask is any request at all, and all of its answer.
func (b *box) ask(method, path, body string, header ...string) (status int, got http.Header, answer string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Close = true // leave no connection behind
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// refusal is the code and the field of a problem, "" for anything else.
func refusal(answer string) (code, field string) {
	var p struct{ Code, Field string }
	_ = json.Unmarshal([]byte(answer), &p)
	return p.Code, p.Field
}
