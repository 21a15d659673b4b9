package engines_test

import (
	"bufio"
	"bytes"
	"errors"
	"go/build"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/ports"
)

// realOllama starts the real thing with a library of its own, through its profile,
// and returns that with the address.
func realOllama(t *testing.T) (engines.Found, string) {
	t.Helper()
	found, err := catalog(t).Choose("llm", "ollama", func(program string) ([]string, error) {
		if argv, err := engines.Find(program); err == nil {
			return argv, nil
		}
		return engines.Find(filepath.Join(build.Default.GOPATH, "bin", program))
	})
	if err != nil {
		t.Skipf("no Ollama here: %v", err)
	}
	home := t.TempDir()
	lease, err := ports.Acquire(t.Context(), ports.Config{Range: ports.Range{First: 22000, Last: 22400}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lease.Release() })
	command, err := found.Command(engines.Vars{Host: "127.0.0.1", Port: lease.Port(), Model: engines.Model{Raw: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env = append(command.Environ(os.Environ()), "HOME="+home, "OLLAMA_MODELS="+filepath.Join(home, "models"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	logged, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(logged)
	drained := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.Signal(found.Stop.Signal)) // it takes its runner along
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("Ollama ends with %v", err)
		}
	})
	seen := ""
	for !strings.Contains(seen, "Listening on") {
		line, err := lines.ReadString('\n')
		if seen += line; err != nil {
			close(drained)
			t.Fatalf("Ollama does not listen: %s", seen)
		}
	}
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	return found, "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(lease.Port()))
}

func TestOllama(t *testing.T) {
	found, url := realOllama(t)
	resp, err := http.Get(url + found.Ready.Path)
	if err != nil || resp.StatusCode != found.Ready.Status {
		t.Fatalf("the readiness path answers %v, %v", resp, err)
	}
	_ = resp.Body.Close()

	tiny, err := found.ResolveModel("../testdata/tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	request := engines.LoadRequest{BaseURL: url, Model: tiny, StateDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil))}
	name, err := found.Load(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(name, "rbee-") || len(name) != len("rbee-")+12 {
		t.Errorf("it is served as %q, want a name made from its content", name)
	}
	is, err := found.Capabilities(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if models, _ := is["models"].([]string); !slices.Contains(models, name+":latest") {
		t.Errorf("the models are %v, want %s among them", is["models"], name)
	}
	loaded, _ := is["loaded"].(map[string]any)
	if running, _ := loaded["models"].([]any); len(running) != 1 {
		t.Errorf("loaded is %v, want one model", is["loaded"])
	}

	again, err := found.Load(t.Context(), request)
	if err != nil || again != name {
		t.Errorf("a second time: %q, %v, want %q", again, err, name)
	}
	if got := strings.Count(log.String(), "import the model file"); got != 1 {
		t.Errorf("it was imported %d times, want once:\n%s", got, log.String())
	}
	// What is in the library is a name like any other.
	if byName, err := found.Load(t.Context(), engines.LoadRequest{BaseURL: url, Model: engines.Model{Raw: name, Kind: engines.Name}}); err != nil || byName != name {
		t.Errorf("by its name: %q, %v", byName, err)
	}
}

func TestOllamaRefuses(t *testing.T) {
	found, url := realOllama(t)
	var refused *engines.ModelError

	unknown, err := found.ResolveModel("no-such-model:7b")
	if err != nil {
		t.Fatal(err)
	}
	_, err = found.Load(t.Context(), engines.LoadRequest{BaseURL: url, Model: unknown})
	if !errors.As(err, &refused) ||
		!strings.Contains(err.Error(), "model 'no-such-model:7b' not found") || !strings.Contains(err.Error(), "ollama pull no-such-model:7b") {
		t.Errorf("an unknown model: error %v, want a *ModelError with Ollama's words and what to do", err)
	}

	path := filepath.Join(t.TempDir(), "broken.gguf")
	if err := os.WriteFile(path, []byte("GGUF and then nothing of sense"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken, err := found.ResolveModel(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = found.Load(t.Context(), engines.LoadRequest{BaseURL: url, Model: broken})
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "asked to import it, the server says: ") {
		t.Errorf("a broken file: error %v, want a *ModelError with Ollama's words", err)
	}
	t.Log(err)
}

func TestLoadWithoutAServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	_, err = profile(t, catalog(t), "ollama").Load(t.Context(), engines.LoadRequest{BaseURL: "http://" + ln.Addr().String(), Model: engines.Model{Raw: "m", Kind: engines.Name}})
	var refused *engines.ModelError
	if err == nil || errors.As(err, &refused) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want that the server can't be asked", err)
	}
}

func TestLoadWhereItIsNoStep(t *testing.T) {
	served, err := profile(t, catalog(t), "llama-server").Load(t.Context(), engines.LoadRequest{Model: engines.Model{Path: "/m/t.gguf", Alias: "t"}})
	if err != nil || served != "t" {
		t.Errorf("%q, %v, want the alias", served, err)
	}
}
