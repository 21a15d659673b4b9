package engines_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/engines"
)

var everything = installed("llm-worker-rbee", "llama-server", "ollama", "vllm", "python3", "~/ComfyUI/main.py")

func find(t *testing.T, engine string) engines.Found {
	t.Helper()
	found, err := catalog(t).Choose("", engine, everything)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCommand(t *testing.T) {
	vars := engines.Vars{Host: "127.0.0.1", Port: 8080, WorkerID: "worker-llm-8080", QueenURL: "http://q:1", RegistryURL: "http://r:2", DataDir: "/data"}
	file := engines.Model{Raw: "t.gguf", Kind: engines.GGUF, Path: "/m/t.gguf", Alias: "t"}
	repo := engines.Model{Raw: "org/name:Q4", Kind: engines.HF, Repo: "org/name:Q4", Alias: "org/name:Q4"}
	for _, tc := range []struct {
		engine string
		model  engines.Model
		extra  []string
		want   string
		env    string
	}{
		{"builtin", engines.Model{Raw: "m", Alias: "m"}, nil, "/bin/llm-worker-rbee --host 127.0.0.1 --port 8080 --worker-id worker-llm-8080 --model m --registry-url= --queen-url=http://q:1", ""},
		{"builtin", engines.Model{}, []string{"--load-time", "1s"}, "/bin/llm-worker-rbee --host 127.0.0.1 --port 8080 --worker-id worker-llm-8080 --registry-url= --queen-url=http://q:1 --load-time 1s", ""},
		{"llama-server", file, []string{"-c", "512", "--port=8080"}, "/bin/llama-server --host 127.0.0.1 --port 8080 -m /m/t.gguf --alias t --metrics -c 512", ""},
		{"llama-server", repo, nil, "/bin/llama-server --host 127.0.0.1 --port 8080 -hf org/name:Q4 --alias org/name:Q4 --metrics", ""},
		{"ollama", file, nil, "/bin/ollama serve", "OLLAMA_HOST=127.0.0.1:8080 OLLAMA_KEEP_ALIVE=-1 OLLAMA_NOPRUNE=1"},
		{"vllm", repo, nil, "/bin/vllm serve org/name:Q4 --host 127.0.0.1 --port 8080 --served-model-name org/name:Q4", ""},
		{"comfyui", engines.Model{}, nil, "/bin/python3 /bin/main.py --listen 127.0.0.1 --port 8080", ""},
	} {
		v := vars
		v.Model, v.Extra = tc.model, tc.extra
		cmd, err := find(t, tc.engine).Command(v)
		got := strings.Join(append([]string{cmd.Path}, cmd.Args...), " ")
		if err != nil || got != tc.want || strings.Join(cmd.Env, " ") != tc.env {
			t.Errorf("%s: %s\nenv %v, %v\nwant %s\nenv %s", tc.engine, got, cmd.Env, err, tc.want, tc.env)
		}
	}
	vars.QueenURL = ""
	cmd, err := find(t, "builtin").Command(vars)
	if err != nil || !slices.Contains(cmd.Args, "--queen-url=") {
		t.Errorf("without a queen: %v, %v, want it to be told so", cmd.Args, err)
	}
}

func TestCommandNeedsAModel(t *testing.T) {
	for _, engine := range []string{"llama-server", "ollama", "vllm"} {
		_, err := find(t, engine).Command(engines.Vars{Host: "127.0.0.1", Port: 8080})
		var refused *engines.ModelError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), engine+": it needs a model and none was given; g") {
			t.Errorf("%s without a model: error %v, want a *ModelError with a hint", engine, err)
		}
	}
}

func TestPortArg(t *testing.T) {
	for _, tc := range []struct {
		extra, rest string
		port        int
		err         string
	}{
		{"", "", 0, ""},
		{"-c 512", "-c 512", 0, ""},
		{"-c 512 --port 9000 -v", "-c 512 -v", 9000, ""},
		{"--port=9000 -v", "-v", 9000, ""},
		{"--port 9000 --port=9000", "", 9000, ""},
		{"--port 9000 --port 9001", "", 0, "they ask for port 9000 and for port 9001"},
		{"--port", "", 0, "--port has no value"},
		{"--port=", "", 0, `--port "" is not a port`},
		{"--port 99999", "", 0, `--port "99999" is not a port`},
	} {
		port, rest, err := find(t, "llama-server").PortArg(strings.Fields(tc.extra))
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%q: error %v, want one with %q", tc.extra, err, tc.err)
			}
			continue
		}
		if err != nil || port != tc.port || strings.Join(rest, " ") != tc.rest {
			t.Errorf("%q: %d, %v, %v", tc.extra, port, rest, err)
		}
	}
	v := engines.Vars{Port: 8080, Model: engines.Model{Path: "/m"}, Extra: []string{"--port", "9000"}}
	if _, err := find(t, "llama-server").Command(v); err == nil || !strings.Contains(err.Error(), "ask for port 9000, the port leased for it is 8080") {
		t.Errorf("another port in the arguments: error %v", err)
	}
}

func TestEnviron(t *testing.T) {
	cmd := engines.Command{Env: []string{"HOST=new", "EMPTY="}, Scrub: []string{"LLAMA_ARG_*", "VLLM_PORT"}}
	base := []string{"PATH=/bin", "HOST=old", "EMPTY=full", "LLAMA_ARG_PORT=1", "LLAMA_ARG=stays", "VLLM_PORT=2", "VLLM_PORTS=stays", "ODD"}
	want := []string{"PATH=/bin", "LLAMA_ARG=stays", "VLLM_PORTS=stays", "ODD", "HOST=new", "EMPTY="}
	if got := cmd.Environ(base); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if base[1] != "HOST=old" || base[3] != "LLAMA_ARG_PORT=1" {
		t.Errorf("the caller's slice was changed: %v", base)
	}
}
