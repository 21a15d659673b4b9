package engines_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/engines"
)

// installed is a machine with these programs and files alone.
func installed(names ...string) engines.Finder {
	return func(program string) ([]string, error) {
		if slices.Contains(names, program) {
			return []string{"/bin/" + filepath.Base(program)}, nil
		}
		return nil, exec.ErrNotFound
	}
}

func nothing(string) ([]string, error) { return nil, exec.ErrNotFound }

func catalog(t *testing.T) *engines.Catalog {
	t.Helper()
	c, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChoose(t *testing.T) {
	all := installed("llm-worker-rbee", "llama-server", "ollama", "vllm", "python3", "~/ComfyUI/main.py")
	for _, tc := range []struct {
		workerType, engine string
		find               engines.Finder
		want               string // the engine and how it is run
		err                string
	}{
		{"llm", "", all, "llama-server /bin/llama-server", ""},
		{"llm", "", installed("ollama", "vllm"), "ollama /bin/ollama", ""},
		{"llm", "", installed("vllm"), "vllm /bin/vllm serve", ""},
		{"llm", "ollama", all, "ollama /bin/ollama", ""},
		{"", "ollama", all, "ollama /bin/ollama", ""},
		{"vllm", "", all, "vllm /bin/vllm serve", ""},
		{"comfy", "", all, "comfyui /bin/python3 /bin/main.py", ""},
		{"llm", "builtin", all, "builtin /bin/llm-worker-rbee", ""},
		{"comfy", "builtin", all, "builtin /bin/llm-worker-rbee", ""},
		{"llm", "", installed("llm-worker-rbee"), "", "no engine for llm workers is installed: looked for llama-server, ollama, vllm; to install one: llama-server: brew"},
		{"llm", "", nothing, "", "--engine builtin, a simulation, works now"},
		{"llm", "ollama", installed("llama-server"), "", "the engine ollama is not installed: looked for ollama; to install one: ollama: curl"},
		{"comfy", "", installed("python3"), "", "looked for $COMFYUI_DIR/main.py, ~/ComfyUI/main.py; to install one"},
		{"comfy", "ollama", all, "", "ollama serves llm, not comfy"},
		{"poetry", "", all, "", `there is no worker type "poetry"; known are comfy, llm, vllm`},
		{"llm", "olama", all, "", `there is no engine "olama"; known are builtin, llama-server`},
	} {
		found, err := catalog(t).Choose(tc.workerType, tc.engine, tc.find)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("Choose(%q, %q): error %v, want one with %q", tc.workerType, tc.engine, err, tc.err)
			}
			continue
		}
		if got := strings.Join(append([]string{found.Name}, found.Argv...), " "); err != nil || got != tc.want {
			t.Errorf("Choose(%q, %q) = %s, %v, want %s", tc.workerType, tc.engine, got, err, tc.want)
		}
	}
}

func TestChooseErrorsHaveTypes(t *testing.T) {
	var missing *engines.NotInstalledError
	if _, err := catalog(t).Choose("llm", "", nothing); !errors.As(err, &missing) || len(missing.Wanted) != 3 || missing.Type != "llm" {
		t.Errorf("nothing installed: %#v, want a *NotInstalledError of three engines", err)
	}
	var unknown *engines.UnknownError
	if _, err := catalog(t).Choose("", "x", nothing); !errors.As(err, &unknown) || unknown.Name != "x" {
		t.Errorf("unknown engine: %#v, want an *UnknownError", err)
	}
}

func TestList(t *testing.T) {
	for _, e := range catalog(t).List(installed("ollama")) {
		want := ""
		if e.Name == "ollama" {
			want = "/bin/ollama"
		}
		if e.Path != want || e.Install == "" || len(e.Types) == 0 {
			t.Errorf("got %+v, want the path %q, types and a hint", e, want)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("HOME", dir)
	t.Setenv("ENGINE_DIR", dir)
	t.Setenv("UNSET_DIR", "")
	program, file := filepath.Join(dir, "server"), filepath.Join(dir, "main.py")
	if err := errors.Join(os.WriteFile(program, nil, 0o755), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"server":              program,
		"~/main.py":           file,
		"$ENGINE_DIR/main.py": file,
		"$UNSET_DIR/main.py":  "",
		"main.py":             "", // on PATH, and not executable
		"~/other":             "",
		"/":                   "",
	} {
		argv, err := engines.Find(name)
		if got := strings.Join(argv, " "); got != want || (err == nil) != (want != "") {
			t.Errorf("Find(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}
