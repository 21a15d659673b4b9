package engines_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/engines"
)

func TestResolveModel(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"good.gguf": "GGUF and more", "text.gguf": "<html>", "short.gguf": "GG", "llama3": "GGUF", "sub/bare": "GGUF"} {
		must(os.MkdirAll(filepath.Dir(name), 0o700))
		must(os.WriteFile(name, []byte(content), 0o600))
	}
	must(os.Mkdir("folder", 0o700))
	must(syscall.Mkfifo("pipe.gguf", 0o600))
	at := func(name string) string { return filepath.Join(dir, name) }

	for _, tc := range []struct {
		engine, raw string
		want        engines.Model
		err         string
	}{
		{engine: "llama-server", raw: "good.gguf", want: engines.Model{Kind: engines.GGUF, Path: at("good.gguf"), Alias: "good"}},
		{engine: "ollama", raw: "~/good.gguf", want: engines.Model{Kind: engines.GGUF, Path: at("good.gguf"), Alias: "good"}},
		{engine: "llama-server", raw: "sub/bare", want: engines.Model{Kind: engines.GGUF, Path: at("sub/bare"), Alias: "bare"}},
		{engine: "llama-server", raw: "./llama3", want: engines.Model{Kind: engines.GGUF, Path: at("llama3"), Alias: "llama3"}},
		{engine: "llama-server", raw: "org/name:Q4_K_M", want: engines.Model{Kind: engines.HF, Repo: "org/name:Q4_K_M", Alias: "org/name:Q4_K_M"}},
		{engine: "ollama", raw: "llama3", want: engines.Model{Kind: engines.Name, Alias: "llama3"}}, // though there is a file
		{engine: "ollama", raw: "library/llama3:8b", want: engines.Model{Kind: engines.Name, Alias: "library/llama3:8b"}},
		{engine: "vllm", raw: "./folder", want: engines.Model{Kind: engines.Dir, Path: at("folder"), Alias: "folder"}},
		{engine: "vllm", raw: "org/name", want: engines.Model{Kind: engines.HF, Repo: "org/name", Alias: "org/name"}},
		{engine: "builtin", raw: "whatever it is", want: engines.Model{Kind: engines.Any, Alias: "whatever it is"}},
		{engine: "builtin", raw: "/nowhere/x.GGUF", want: engines.Model{Kind: engines.Any, Alias: "x"}},
		{engine: "builtin"},
		{engine: "llama-server", err: "it needs a model and none was given; give a GGUF file"},
		{engine: "llama-server", raw: "missing.gguf", err: "there is no file " + at("missing.gguf") + "; give a GGUF file"},
		{engine: "llama-server", raw: "./folder", err: at("folder") + " is a directory; give"},
		{engine: "llama-server", raw: "text.gguf", err: `text.gguf is not a GGUF file: it begins with "<htm"`},
		{engine: "llama-server", raw: "short.gguf", err: `it begins with "GG"`},
		{engine: "llama-server", raw: "pipe.gguf", err: "is not a regular file"},
		{engine: "llama-server", raw: "llama3", err: "neither a file that exists nor a name"},
		{engine: "ollama", raw: "./missing", err: "there is no file"},
		{engine: "ollama", raw: "two words", err: "neither a file"},
		{engine: "vllm", raw: "good.gguf", err: "is a file, which this engine does not take"},
	} {
		p := profile(t, catalog(t), tc.engine)
		got, err := p.ResolveModel(tc.raw)
		if tc.err != "" {
			var refused *engines.ModelError
			if !errors.As(err, &refused) || refused.Engine != tc.engine || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s, %q: error %v, want a *ModelError with %q", tc.engine, tc.raw, err, tc.err)
			}
			continue
		}
		tc.want.Raw = tc.raw
		if err != nil || got != tc.want {
			t.Errorf("%s, %q: %+v, %v, want %+v", tc.engine, tc.raw, got, err, tc.want)
		}
	}
}

func TestResolveUnreadableModel(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root can read every file")
	}
	path := filepath.Join(t.TempDir(), "secret.gguf")
	if err := os.WriteFile(path, []byte("GGUF"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := profile(t, catalog(t), "ollama").ResolveModel(path)
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("error %v, want that it may not be read", err)
	}
}
