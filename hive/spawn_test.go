package hive_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/launch"
)

// TestSpawn: the whole life of a worker, by requests alone.
func TestSpawn(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	status, header, stream := b.ask("POST", "/v1/hive/workers", `{"engine":"builtin","model":"m"}`, "Accept", "text/event-stream")
	if status != 200 || header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v %s", status, header, stream)
	}
	at := 0
	for _, want := range []string{"event: operation", `"status":"running"`, `"event":"leased"`, `"event":"spawned"`, `"event":"ready"`, "event: end", `"status":"succeeded"`} {
		i := strings.Index(stream[at:], want)
		if i < 0 {
			t.Fatalf("no %s after what came before, in %s", want, stream)
		}
		at += i
	}
	list, err := b.to.Workers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	w := list[0]
	if w.HiveID != "box" || w.Status != "ready" || w.Engine != "builtin" || w.Model != "m" || w.WorkerType != "llm" || w.Hostname != "localhost" ||
		w.WorkerID != "worker-llm-"+strconv.Itoa(w.Port) || w.StartedAt.Location() != time.UTC {
		t.Errorf("it is listed as %+v", w)
	}
	if _, end, _ := strings.Cut(stream, "event: end"); w.InstanceID == "" || strings.Count(end, `"instance_id":"`+w.InstanceID+`"`) != 2 {
		t.Errorf("instance %q is not the operation's and the worker's at the end of %s", w.InstanceID, stream)
	}
	if _, _, one := b.ask("GET", "/v1/hive/workers/"+w.WorkerID, ""); !strings.Contains(one, w.InstanceID) {
		t.Errorf("it is %s", one)
	}
	if status, _, answer := b.ask("DELETE", "/v1/hive/workers/"+w.WorkerID+"?grace=3s", ""); status != 200 || !strings.Contains(answer, `"stopped"`) {
		t.Errorf("stopped: %d %s", status, answer)
	}
	if !isGone(w.PID) || len(b.ids()) != 0 {
		t.Errorf("pid %d is there, or any of %v", w.PID, b.ids())
	}
	for method, path := range map[string]string{"GET": w.WorkerID, "DELETE": w.WorkerID} {
		if status, _, answer := b.ask(method, "/v1/hive/workers/"+path, ""); status != 404 || !strings.Contains(answer, client.CodeUnknownWorker) {
			t.Errorf("%s of what is gone: %d %s", method, status, answer)
		}
	}
}

// TestSpawnFails: a failure comes with the engine's own last words.
func TestSpawnFails(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.follow(b.begin(builtin("--no-such-flag")).ID, nil)
	if op.Status != client.Failed || op.Error.ExitCode == nil || *op.Error.ExitCode == 0 ||
		!strings.Contains(strings.Join(op.Error.LastLines, "\n"), "no-such-flag") || op.Phase != "failed" {
		t.Errorf("it ended as %+v %+v", op, op.Error)
	}
	if op.WorkerID == "" || op.InstanceID == "" {
		t.Errorf("it was about %q, %q", op.WorkerID, op.InstanceID)
	}
	if len(b.ids()) != 0 {
		t.Errorf("listed are %v", b.ids())
	}
	// Its log can still be read.
	if status, _, text := b.ask("GET", "/v1/hive/workers/"+op.WorkerID+"/logs", ""); status != 200 || !strings.Contains(text, "no-such-flag") {
		t.Errorf("its log: %d %s", status, text)
	}
}

// TestRefused: what can't work is refused before anything is started.
func TestRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	long := strings.Repeat("x", 2000)
	for name, test := range map[string]struct {
		body, code, field string
		status            int
	}{
		"no JSON":              {`{`, "bad_json", "", 400},
		"a wrong type":         {`{"port":"80"}`, "invalid_field", "port", 422},
		"unknown engine":       {`{"engine":"other"}`, client.CodeNoEngine, "engine", 422},
		"engine not installed": {`{"engine":"absent","worker_type":"absent"}`, client.CodeNoEngine, "engine", 422},
		"type not installed":   {`{"worker_type":"absent"}`, client.CodeNoEngine, "worker_type", 422},
		"unknown type":         {`{"worker_type":"other"}`, client.CodeNoEngine, "worker_type", 422},
		"engine of other type": {`{"engine":"fake","worker_type":"llm"}`, client.CodeNoEngine, "engine", 422},
		"explicit by type":     {`{"worker_type":"anything"}`, client.CodeNoEngine, "worker_type", 422},
		"no model":             {`{"engine":"fake","worker_type":"fake"}`, client.CodeNoModel, "model", 422},
		"negative port":        {`{"engine":"builtin","port":-1}`, "invalid_field", "port", 422},
		"port too high":        {`{"engine":"builtin","port":65536}`, "invalid_field", "port", 422},
		"two ports":            {`{"engine":"builtin","port":18001,"args":["--port=18002"]}`, "invalid_field", "args", 422},
		"no port in args":      {`{"engine":"builtin","args":["--port=x"]}`, "invalid_field", "args", 422},
		"many args":            {`{"engine":"builtin","args":["` + strings.Repeat(`","`, 100) + `"]}`, "invalid_field", "args", 422},
		"args beyond exec":     {`{"engine":"builtin","args":["` + strings.Repeat("<", 60_000) + `"]}`, "invalid_field", "args", 422},
		"NUL in model":         {`{"engine":"builtin","model":"m\u0000--tokens-per-second=1"}`, "invalid_field", "model", 422},
		"newline in type":      {`{"engine":"builtin","worker_type":"l\nm"}`, "invalid_field", "worker_type", 422},
		"escape in engine":     {`{"engine":"built\u001bin"}`, "invalid_field", "engine", 422},
		"newline in device":    {`{"engine":"builtin","device":"0\n"}`, "invalid_field", "device", 422},
		"NUL in args":          {`{"engine":"builtin","args":["--port\u0000=1"]}`, "invalid_field", "args", 422},
		"long engine":          {`{"engine":"` + long + `"}`, "invalid_field", "engine", 422},
		"long model":           {`{"engine":"builtin","model":"` + long + `"}`, "invalid_field", "model", 422},
		"long type":            {`{"engine":"builtin","worker_type":"` + long[:110] + `xxxxxxxxxxxx"}`, "invalid_field", "worker_type", 422},
		"too large":            {`{"model":"` + strings.Repeat("x", 70_000) + `"}`, "body_too_large", "", 413},
	} {
		status, _, answer := b.ask("POST", "/v1/hive/workers", test.body)
		if code, field := refusal(answer); status != test.status || code != test.code || field != test.field {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if _, _, ops := b.ask("GET", "/v1/hive/operations", ""); ops != "[]\n" {
		t.Errorf("begun were %s", ops)
	}
}

// TestModels: a request reaches the files in the model folders, and no others.
func TestModels(t *testing.T) {
	t.Parallel()
	gguf, err := os.ReadFile("../testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	b := newBox(t, nil)
	models, outside := b.cfg.ModelDirs[0], filepath.Join(b.dir, "outside.gguf")
	for _, path := range []string{filepath.Join(models, "sub", "tiny.gguf"), outside} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, gguf, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(models, filepath.Join(b.dir, "in")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(b.dir, filepath.Join(models, "out")); err != nil {
		t.Fatal(err)
	}
	for model, found := range map[string]string{
		"tiny":      filepath.Join(models, "sub", "tiny.gguf"),
		"tiny.gguf": filepath.Join(models, "sub", "tiny.gguf"),
		filepath.Join(models, "sub", "tiny.gguf"): filepath.Join(models, "sub", "tiny.gguf"),
		"org/name": "org/name", // the engine's to know
		"name:tag": "name:tag",
	} {
		op := b.follow(b.begin(client.SpawnRequest{WorkerType: "fake", Model: model}).ID, nil)
		if op.Worker == nil || op.Worker.Model != found {
			t.Errorf("%s: %+v %+v", model, op, op.Error)
		}
	}
	for _, model := range []string{
		outside, models, "/etc/passwd", "outside.gguf", "nothing.gguf", "../outside.gguf", "./tiny.gguf", "~/tiny.gguf", "~",
		filepath.Join(models, "..", "outside.gguf"), models + "/../outside.gguf", models + "/sub/../../outside.gguf",
		filepath.Join(models, "out", "outside.gguf"), // by a link that leads out
		"../testdata/tiny.gguf", "testdata/../../testdata/tiny.gguf",
		"../hive/helpers_test.go", "client/client.go", // which the working directory has
	} {
		text := `{"worker_type":"fake","model":"` + model + `"}`
		status, _, answer := b.ask("POST", "/v1/hive/workers", text)
		if code, field := refusal(answer); status != 422 || code != client.CodeNoModel || field != "model" {
			t.Errorf("%s: %d %s", model, status, answer)
		}
	}
}

// TestUnreadableModels: what is known to be no model is refused with the reason, and not offered.
func TestUnreadableModels(t *testing.T) {
	t.Parallel()
	var models string
	b := newBox(t, func(c *hive.Config) {
		models = c.ModelDirs[0]
		for _, err := range []error{
			os.Mkdir(models, 0o700), os.WriteFile(filepath.Join(models, "bad.gguf"), []byte("GGUFnothing"), 0o600),
			os.Symlink("loop.gguf", filepath.Join(models, "loop.gguf")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	for model, said := range map[string]string{
		"bad": "can't be read", "bad.gguf": "can't be read", "loop.gguf": models, "other.gguf": "there are no models in",
	} {
		for _, kind := range []string{"fake", "llm"} {
			status, _, answer := b.ask("POST", "/v1/hive/workers", `{"worker_type":"`+kind+`","engine":"`+map[string]string{"fake": "fake", "llm": "builtin"}[kind]+`","model":"`+model+`"}`)
			if code, field := refusal(answer); status != 422 || code != client.CodeNoModel || field != "model" || !strings.Contains(answer, said) {
				t.Errorf("%s of %s: %d %s, want %q", model, kind, status, answer, said)
			}
		}
	}
}

// TestSpawnsAtOnce: each gets a port of its own, and is stopped as one.
func TestSpawnsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	var spawning sync.WaitGroup
	for range 8 {
		spawning.Go(func() {
			if w := b.spawn(); w.Status != "ready" {
				t.Errorf("spawned: %+v", w)
			}
		})
	}
	spawning.Wait()
	ids := b.ids()
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 8 {
		t.Errorf("the workers are %v", ids)
	}
	for _, id := range ids {
		spawning.Go(func() {
			if err := b.to.Stop(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	spawning.Wait()
	if ids := b.ids(); len(ids) != 0 {
		t.Errorf("left are %v", ids)
	}
}

// TestBusy: so many starts run at once, and no more; an end makes room.
func TestBusy(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.MaxStarting = 2 })
	var under []client.Operation
	for range 2 {
		under = append(under, b.begin(builtin("--never-ready")))
	}
	status, header, answer := b.ask("POST", "/v1/hive/workers", `{"engine":"builtin"}`)
	if code, _ := refusal(answer); status != 503 || code != client.CodeBusy || header.Get("Retry-After") == "" {
		t.Errorf("the third: %d %v %s", status, header, answer)
	}
	for _, op := range under {
		if err := b.to.Cancel(t.Context(), op.ID); err != nil {
			t.Error(err)
		}
		if op := b.follow(op.ID, nil); op.Status != client.Failed || op.Error.Detail != "the operation was cancelled" {
			t.Errorf("cancelled: %+v %+v", op, op.Error)
		}
	}
	b.spawn()
}

// TestPortTaken: a port that somebody has, be it another worker, is a failure that says so.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	op := b.follow(b.begin(builtin("--port="+port)).ID, nil)
	if op.Status != client.Failed || !strings.Contains(op.Error.Detail, "taken") || op.WorkerID != "" {
		t.Errorf("it ended as %+v %+v", op, op.Error)
	}
	w := b.spawn()
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil { // whose port is free now
		t.Fatal(err)
	}
	req := builtin()
	req.Port = w.Port
	first, second := b.begin(req), b.begin(req)
	ended := map[client.Progress]int{}
	for _, op := range []client.Operation{first, second} {
		ended[b.follow(op.ID, nil).Status]++
	}
	if ended[client.Succeeded] != 1 || ended[client.Failed] != 1 {
		t.Errorf("of two for one port %v", ended)
	}
}

// TestCancel: whenever it comes, nothing is left.
func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) {
		c.RegistryURL, c.Registering = "http://127.0.0.1:1", time.Hour // nobody is there
	})
	for name, test := range map[string]struct {
		args  []string
		phase launch.EventType // it has come so far
	}{
		"at once":  {nil, ""},
		"loading":  {[]string{"--never-ready"}, launch.Spawned},
		"obdurate": {[]string{"--never-ready", "--ignore-sigterm"}, launch.Spawned},
		"ready":    {nil, launch.Ready},
	} {
		op := b.begin(builtin(test.args...))
		if test.phase != "" {
			b.await(op, test.phase)
		}
		if err := b.to.Cancel(t.Context(), op.ID); err != nil {
			t.Error(err)
		}
		op = b.follow(op.ID, nil)
		if op.Status != client.Failed || op.Error.Detail != "the operation was cancelled" || !op.Error.Stopped || op.Worker != nil {
			t.Errorf("%s: %+v %+v", name, op, op.Error)
		}
		if list, err := launch.List(b.cfg.RuntimeDir); err != nil || len(list) != 0 {
			t.Errorf("%s: left are %+v, %v", name, list, err)
		}
	}
}

// TestCancelWhenReady: a worker that is ready, takes its time to register and its time to
// stop, is none that anybody is told of as a success.
func TestCancelWhenReady(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.RegistryURL, c.Registering = "http://127.0.0.1:1", 3*time.Second })
	op := b.begin(builtin("--ignore-sigterm"))
	b.await(op, launch.Ready)
	if err := b.to.Cancel(t.Context(), op.ID); err != nil {
		t.Error(err)
	}
	if op := b.follow(op.ID, nil); op.Status != client.Failed || op.Error.Detail != "the operation was cancelled" {
		t.Errorf("it ended as %+v %+v", op, op.Error)
	}
}

// TestStopWhileStarting: a worker that is stopped as a worker comes to nothing, and its
// operation says so.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.begin(builtin("--never-ready"))
	b.await(op, launch.Spawned)
	if err := b.to.Stop(t.Context(), b.ids()[0]); err != nil {
		t.Fatal(err)
	}
	if op := b.follow(op.ID, nil); op.Status != client.Failed || op.Error.Detail != "the worker was stopped before it was ready" || !op.Error.Stopped {
		t.Errorf("it ended as %+v %+v", op, op.Error)
	}
}

// TestIDs: a worker is found by its id, whatever is in that.
func TestIDs(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.Advertise, c.Host = "box.example", "127.0.0.1" })
	req := builtin()
	req.WorkerType = "a/../b c%2F"
	w := b.follow(b.begin(req).ID, nil).Worker
	if w == nil || w.WorkerID != fmt.Sprintf("worker-a/../b c%%2F-%d@box.example", w.Port) || w.Hostname != "box.example" {
		t.Fatalf("it is %+v", w)
	}
	b.eventually("its log has something", func() bool { // what it prints is written beside its start
		status, _, text := b.ask("GET", "/v1/hive/workers/"+url.PathEscape(w.WorkerID)+"/logs", "")
		if status != 200 {
			t.Fatalf("its log: %d %q", status, text)
		}
		return text != ""
	})
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil {
		t.Error(err)
	}
}

// TestOthers: what another has launched in the same folder is none of this hive's.
func TestOthers(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	other := *b
	other.cfg.ID = "other"
	other.start()
	w := other.spawn()
	if ids := b.ids(); len(ids) != 0 {
		t.Errorf("listed are %v", ids)
	}
	for _, r := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"GET", "/logs"}} {
		if status, _, answer := b.ask(r[0], "/v1/hive/workers/"+w.WorkerID+r[1], ""); status != 404 || !strings.Contains(answer, client.CodeUnknownWorker) {
			t.Errorf("%s %s: %d %s", r[0], r[1], status, answer)
		}
	}
	if isGone(w.PID) {
		t.Error("it was stopped")
	}
}

// TestEverybody: one that sees others' workers does not tell of their starts, which are
// their own hive's to tell, and speaks of this machine.
func TestEverybody(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	w := b.spawn()
	all := *b
	all.cfg.ID, all.cfg.SpawnedBy, all.cfg.Everybody = "all", "all", true
	all.start()
	if ids := all.ids(); len(ids) != 1 || ids[0] != w.WorkerID {
		t.Errorf("listed are %v", ids)
	}
	if status, _, answer := all.ask("GET", "/v1/hive/operations", ""); status != 200 || answer != "[]\n" {
		t.Errorf("its operations: %d %s", status, answer)
	}
	if status, _, answer := all.ask("GET", "/v1/hive/workers/nobody", ""); status != 404 || strings.Contains(answer, "hive all") || !strings.Contains(answer, "this machine") {
		t.Errorf("one that there is not: %d %s", status, answer)
	}
}

// TestNoRuntimeDir: a folder that can't be used is a failure of what needs it, and of
// nothing else.
func TestNoRuntimeDir(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) {
		if err := os.WriteFile(c.RuntimeDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if op := b.follow(b.begin(builtin()).ID, nil); op.Status != client.Failed || !strings.Contains(op.Error.Detail, "record the launch") {
		t.Errorf("spawned: %+v %+v", op, op.Error)
	}
	for path, want := range map[string]int{"/v1/hive/workers": 500, "/v1/hive/workers/x": 500, "/health": 200, "/capabilities": 200, "/v1/hive/operations": 200} {
		if status, _, answer := b.ask("GET", path, ""); status != want {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}

// TestToken: what the hive shows others is in no command line, record, log or answer.
func TestToken(t *testing.T) {
	t.Parallel()
	const secret = "vEry-SeCret_tOken"
	var mu sync.Mutex
	var said strings.Builder
	hear := func(text string) { mu.Lock(); defer mu.Unlock(); said.WriteString(text) }
	b := newBox(t, func(c *hive.Config) {
		c.Credentials.Token = filepath.Join(filepath.Dir(c.StateDir), "token")
		if err := os.WriteFile(c.Credentials.Token, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		keeper := c.Keeper
		c.Keeper = func(job string) hive.Command { hear(job); return keeper(job) }
		c.Log = slog.New(slog.NewTextHandler(writer(hear), &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.RegistryURL, c.Registering = "http://127.0.0.1:1", time.Millisecond
	})
	w := b.spawn()
	b.follow(b.begin(builtin("--no-such-flag")).ID, nil)
	for _, path := range []string{"/v1/hive/workers", "/v1/hive/operations", "/capabilities", "/v1/hive/workers/" + w.WorkerID + "/logs"} {
		_, _, answer := b.ask("GET", path, "")
		hear(answer)
	}
	for _, dir := range []string{b.cfg.RuntimeDir + "/launches", b.cfg.StateDir + "/logs"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if text, err := os.ReadFile(filepath.Join(dir, f.Name())); err == nil { // a socket is no file to read
				hear(string(text))
			}
		}
	}
	b.leave()
	if text := said.String(); strings.Contains(text, secret) || !strings.Contains(text, b.cfg.Credentials.Token) || !strings.Contains(text, w.InstanceID) {
		t.Errorf("the token is in it, or not all was heard: %s", text)
	}
}

// writer is a function as an io.Writer.
type writer func(string)

func (w writer) Write(text []byte) (int, error) { w(string(text)); return len(text), nil }
