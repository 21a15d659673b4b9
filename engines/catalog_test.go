package engines_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/engines"
)

// load reads the built-in profiles and the given text of a user's file.
func load(t *testing.T, text string) (*engines.Catalog, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engines.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return engines.Load(path)
}

func profile(t *testing.T, c *engines.Catalog, name string) engines.Profile {
	t.Helper()
	p, err := c.Profile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUserFileChangesFields(t *testing.T) {
	c, err := load(t, `
engines:
  - name: ollama
    types: [chat]
    live: {period: 7s}
    stop: {grace: 1m}
    env: {OLLAMA_HOST: "{host}:{port}"}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := profile(t, c, "ollama")
	if !slices.Equal(p.Types, []string{"chat"}) || p.Live.Period != 7*time.Second || p.Stop.Grace != time.Minute || len(p.Env) != 1 {
		t.Errorf("the file's fields are not there: %+v", p)
	}
	if p.Live.Path != "/api/version" || p.Live.Status != 200 || p.Loading != "ollama" || p.Install == "" ||
		syscall.Signal(p.Stop.Signal) != syscall.SIGTERM || !p.Model.Needed {
		t.Errorf("fields that the file does not name have changed: %+v", p)
	}
	again, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if p := profile(t, again, "ollama"); !slices.Equal(p.Types, []string{"llm"}) || len(p.Env) != 3 {
		t.Errorf("one catalog's changes show in another: %+v", p)
	}
}

func TestUserFileAddsAnEngine(t *testing.T) {
	c, err := load(t, `
engines:
  - name: mine
    types: [llm, speech]
    programs: [{run: my-server}]
    args: [[--port, "{port}"], '{"json": true}']
    ready: {path: /up, log: "^ready"}
    stop: {signal: SIGQUIT}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := profile(t, c, "mine")
	if p.Ready.Status != 200 || p.Ready.Log == nil || !p.Ready.Log.MatchString("ready now") || syscall.Signal(p.Stop.Signal) != syscall.SIGQUIT {
		t.Errorf("got %+v", p)
	}
	names := func() (all []string) {
		for _, e := range c.List(nothing) {
			all = append(all, e.Name)
		}
		return all
	}()
	if want := []string{"builtin", "llama-server", "ollama", "vllm", "comfyui", "mine"}; !slices.Equal(names, want) {
		t.Errorf("the engines are %v, want %v", names, want)
	}
}

func TestUserFileErrors(t *testing.T) {
	const whole = "engines:\n  - name: x\n    types: [llm]\n    programs: [{run: x}]\n"
	for _, tc := range []struct{ name, text, want string }{
		{"unknown field", "engines:\n  - name: ollama\n    redy: {}\n", `[3:5] unknown field "redy"`},
		{"unknown inner field", "engines:\n  - name: ollama\n    ready: {pth: /x}\n", `[3:13] unknown field "pth"`},
		{"unknown top field", "engine: []\n", `[1:1] unknown field "engine"`},
		{"wrong type", "engines:\n  - name: ollama\n    ready: {status: ok}\n", "[3:21] cannot unmarshal string"},
		{"no duration", "engines:\n  - name: ollama\n    live: {period: soon}\n", "invalid duration"},
		{"no regexp", "engines:\n  - name: ollama\n    address_in_use: \"(\"\n", "missing closing )"},
		{"no signal", "engines:\n  - name: ollama\n    stop: {signal: TERM}\n", `"TERM" is not a signal`},
		{"no YAML", "engines: [", "not found"},
		{"twice", "engines:\n  - name: ollama\n  - name: ollama\n", `:3: engine "ollama" is there twice`},
		{"no name", "engines:\n  - types: [llm]\n    programs: [{run: x}]\n", "it has no name"},
		{"no types", "engines:\n  - name: x\n    programs: [{run: x}]\n", "types is empty"},
		{"no programs", "engines:\n  - name: x\n    types: [llm]\n", "programs is empty"},
		{"no program", "engines:\n  - name: x\n    types: [llm]\n    programs: [{args: [y]}]\n", "run is missing"},
		{"unknown placeholder", whole + "    args: [[-m, \"{modle}\"]]\n", `:2: engine "x": args: "{modle}": there is no placeholder {modle}; known are {alias}`},
		{"unknown placeholder in env", whole + "    env: {A: \"{file}\"}\n", "env: A: "},
		{"unknown placeholder in a program", "engines:\n  - name: x\n    types: [llm]\n    programs: [{run: x, args: [\"{port}\"]}]\n", "programs: "},
		{"unknown kind", whole + "    model: {kinds: [onnx]}\n", `"onnx" is not a kind of model`},
		{"unknown load", whole + "    load: magic\n", `"magic" is not known`},
		{"bad pattern", whole + "    scrub: [\"[\"]\n", `scrub: "["`},
		{"bad path", whole + "    ready: {path: health}\n", `ready: the path "health" does not begin with a slash`},
		{"bad question", whole + "    capabilities: [{path: models}]\n", `capabilities: the path "models"`},
	} {
		_, err := load(t, tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "engines.yaml") {
			t.Errorf("%s: error %v\nwant one with the file's name and %q", tc.name, err, tc.want)
		}
	}
}

func TestUserFilePlace(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "relative, so not to be used")
	if got, want := engines.UserFile(), filepath.Join(home, ".config", "rbee", "engines.yaml"); got != want {
		t.Errorf("UserFile is %s, want %s", got, want)
	}
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "xdg"))
	path := engines.UserFile()
	if _, err := engines.Load(""); err != nil {
		t.Errorf("without a user's file: %v", err)
	}
	if _, err := engines.Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that was named and is missing: error %v", err)
	}
	if err := errors.Join(
		os.MkdirAll(filepath.Dir(path), 0o700),
		os.WriteFile(path, []byte("engines: [{name: mine, types: [llm], programs: [{run: x}]}]"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	c, err := engines.Load("")
	if err != nil {
		t.Fatal(err)
	}
	profile(t, c, "mine")
}
