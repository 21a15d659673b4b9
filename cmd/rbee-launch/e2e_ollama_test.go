package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// tinyModel is a complete model of half a megabyte with random weights.
func tinyModel(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// startEngine launches an engine with the tiny model.
func startEngine(t *testing.T, reg *registryUnderTest, engine, path string) *launcher {
	t.Helper()
	return startLauncher(t, filepath.Dir(path), "worker", "--type", "llm", "--engine", engine,
		"--model", tinyModel(t), "--port", ownPort(t), "--registry-url", reg.url, "--queen-url", "")
}

func TestOllama(t *testing.T) {
	path := need(t, "ollama")
	for how, end := range map[string]func(*launcher){"stopped": (*launcher).stop, "killed": (*launcher).kill} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			reg := startRegistry(t, func(c registry.Component) { wantLoaded(t, c) })
			l := startEngine(t, reg, "ollama", path)
			w := reg.await(l, "")
			wantChat(t, w)

			tree := l.tree()
			if missing := without([]string{"ollama", "ollama"}, tree); len(missing) > 0 {
				t.Errorf("a server and its runner are not among %v", tree)
			}
			end(l)
			l.nothingLeft(tree, w.Port)
			if left := reg.workers(); how == "stopped" && len(left) > 0 {
				t.Errorf("the registry still lists %v", left)
			}
		})
	}
}

// wantLoaded asks the server that is about to be registered what it has loaded.
func wantLoaded(t *testing.T, c registry.Component) {
	body, err := get(t.Context(), "http://"+addr(registry.Entry{Component: c})+"/api/ps")
	if err != nil {
		t.Error(err)
	}
	var ps struct {
		Models []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(body), &ps); err != nil {
		t.Errorf("/api/ps answers %q: %v", body, err)
	}
	for _, m := range ps.Models {
		if strings.TrimSuffix(m.Name, ":latest") == c.Model {
			return
		}
	}
	t.Errorf("%s is registered while %q is loaded", c.Model, body)
}

// wantChat has a streamed chat with the model that the registry names, where the
// registry says it is.
func wantChat(t *testing.T, w registry.Entry) {
	t.Helper()
	wantAnswer(t, freshClient(), "http://"+addr(w), "", w.Model)
}

// wantAnswer has a streamed chat at a server, which is shown the token unless that is "".
func wantAnswer(t *testing.T, client *http.Client, base, token, model string) {
	t.Helper()
	ask := fmt.Sprintf(`{"model":%q,"stream":true,"max_tokens":8,"messages":[{"role":"user","content":"hello"}]}`, model)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/chat/completions", strings.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		t.Errorf("a chat is answered with %s and %s", resp.Status, kind)
	}
	var pieces int
	var last string
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if last = data; data == "[DONE]" {
			continue
		}
		var chunk struct{ Choices []json.RawMessage }
		if err := json.Unmarshal([]byte(data), &chunk); err != nil || len(chunk.Choices) == 0 {
			t.Errorf("not a piece of an answer: %s (%v)", data, err)
		}
		pieces++
	}
	if pieces < 2 || last != "[DONE]" {
		t.Errorf("an answer of %d pieces that ends with %q", pieces, last)
	}
}

func TestOllamaServerKilled(t *testing.T) {
	path := need(t, "ollama")
	if runtime.GOOS != "linux" {
		t.Skip("finds the runner through /proc")
	}
	reg := startRegistry(t, func(c registry.Component) { wantLoaded(t, c) })
	l := startEngine(t, reg, "ollama", path)
	first := reg.await(l, "")
	before := slices.DeleteFunc(l.tree(), func(p proc) bool { return p.name == "rbee-guard" }) // which stays

	if err := syscall.Kill(before[0].pid, syscall.SIGKILL); err != nil { // the server: parents come first
		t.Fatal(err)
	}
	second := reg.await(l, first.InstanceID)
	if second.ID != first.ID {
		t.Errorf("it came back as %s, was %s", second.ID, first.ID)
	}
	for _, p := range before {
		if p.lives() {
			t.Errorf("%s of the old life lives on", p)
		}
	}
	wantChat(t, second)
	tree := l.tree()
	l.stop()
	l.nothingLeft(tree, second.Port)
}

// TestOllamaAdopted: a real engine goes on answering while its sidecar is killed, and
// under the next one, and the one after an upgrade.
func TestOllamaAdopted(t *testing.T) {
	path := need(t, "ollama")
	if runtime.GOOS != "linux" {
		t.Skip("finds processes through /proc")
	}
	t.Parallel()
	reg := startRegistry(t, nil)
	command, _ := oneUser(t, filepath.Dir(path))
	command("worker", "-d", "--id", "llm", "--engine", "ollama", "--model", tinyModel(t), "--port", ownPort(t),
		"--registry-url", reg.url, "--queen-url", "")
	defer command("stop", "--all")
	first := reg.workers()[0]
	wantChat(t, first)
	inspect := func() (i launch.Inspection) {
		t.Helper()
		if err := json.Unmarshal([]byte(command("inspect", "llm")), &i); err != nil {
			t.Fatal(err)
		}
		return i
	}
	before := inspect()
	if before.Processes < 2 {
		t.Errorf("a server and its runner are %d processes", before.Processes)
	}
	if err := syscall.Kill(before.SupervisorPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantChat(t, first)
	for !strings.Contains(command("ps"), "orphaned") { // its guard may not have noticed yet
		time.Sleep(time.Millisecond)
	}
	command("adopt", "llm")
	wantChat(t, first)
	command("upgrade", "llm")
	now := inspect()
	if now.PID != before.PID || now.InstanceID != before.InstanceID || now.Status != launch.IsReady {
		t.Errorf("it goes on as %+v, was %+v", now.Launch, before.Launch)
	}
	if again := reg.workers(); len(again) != 1 || again[0].Model != first.Model || again[0].InstanceID != first.InstanceID {
		t.Errorf("registered as %+v, was %+v", again, first)
	}
	wantChat(t, first)
	command("stop", "llm")
	if left := reg.workers(); len(left) > 0 {
		t.Errorf("the registry still lists %v", left)
	}
}

func TestOllamaModelUnknown(t *testing.T) {
	path := need(t, "ollama")
	reg := startRegistry(t, func(c registry.Component) { t.Errorf("%s was registered", c.ID) })
	l := startLauncher(t, filepath.Dir(path), "worker", "--engine", "ollama", "--model", "no-such-model",
		"--port", ownPort(t), "--registry-url", reg.url, "--queen-url", "", "--json")
	if code := l.exitCode(); code != 125 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{`model 'no-such-model' not found`, "ollama pull no-such-model"} {
		if !strings.Contains(l.said(), want) {
			t.Errorf("%q is not in %s", want, l.said())
		}
	}
	l.nothingLeft(nil, l.event("spawned").Port)
}

func TestOllamaModelFileMissing(t *testing.T) {
	path := need(t, "ollama")
	l := startLauncher(t, filepath.Dir(path), "worker", "--engine", "ollama", "--model", "./absent.gguf", "--json")
	if code := l.exitCode(); code != 2 {
		t.Errorf("exit code %d", code)
	}
	if said := l.said(); !strings.Contains(said, "absent.gguf") || strings.Contains(said, `"event"`) {
		t.Errorf("it says %s", said)
	}
	l.nothingLeft(nil, 0)
}

func TestOllamaThroughRun(t *testing.T) {
	path, curl := need(t, "ollama"), need(t, "curl")
	cmd := rbeeLaunch(t, filepath.Dir(path), "run", "--engine", "ollama", "--model", tinyModel(t), "--",
		"sh", "-c", `"$0" -sSfN "$OPENAI_BASE_URL/chat/completions" -H "Content-Type: application/json" \
			-d "{\"model\":\"$RBEE_WORKER_MODEL\",\"stream\":true,\"max_tokens\":8,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}"`, curl)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), `"choices":[`) || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
		t.Errorf("it printed %q, %v%s", out, err, stderrOf(err))
	}
}

// llama-server has no package that CI could install, so its absence fails nothing.
func TestLlamaServer(t *testing.T) {
	path, err := exec.LookPath("llama-server")
	if err != nil {
		t.Skip("llama-server is not installed")
	}
	for how, end := range map[string]func(*launcher){"stopped": (*launcher).stop, "killed": (*launcher).kill} {
		t.Run(how, func(t *testing.T) {
			reg := startRegistry(t, nil)
			l := startEngine(t, reg, "llama-server", path)
			w := reg.await(l, "")
			wantChat(t, w)
			tree := l.tree()
			end(l)
			l.nothingLeft(tree, w.Port)
		})
	}
}
