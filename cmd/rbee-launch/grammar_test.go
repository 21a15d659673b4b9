package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

func parser(t *testing.T) *kong.Kong {
	t.Helper()
	k, err := app().Parser()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Every flag has an environment variable of the same meaning, but for --all.
func TestEveryFlagHasAVariable(t *testing.T) {
	seen := 0
	for _, leaf := range parser(t).Model.Leaves(false) {
		for _, group := range leaf.AllFlags(false) {
			for _, f := range group {
				if f.Name == "help" {
					continue
				}
				seen++
				if f.Name == "all" { // of one command it means to list, of others to stop: to be said each time
					if len(f.Envs) != 0 {
						t.Errorf("%s --all reads %q", leaf.Path(), f.Envs)
					}
					continue
				}
				want := "RBEE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
				if !slices.Equal(f.Envs, []string{want}) {
					t.Errorf("%s --%s reads %q, not %s", leaf.Path(), f.Name, f.Envs, want)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no command has a flag")
	}
}

func TestVariablesAndFlags(t *testing.T) {
	t.Setenv("RBEE_MODEL", "from-the-environment")
	t.Setenv("RBEE_GRACE", "3s")
	t.Setenv("RBEE_QUEEN_URL", "")
	for _, test := range []struct {
		name        string
		args        []string
		model       string
		grace       string
		registryURL string
	}{
		{"variables", []string{"worker"}, "from-the-environment", "3s", "http://127.0.0.1:7830"},
		{"flags win", []string{"worker", "--model", "m", "--grace=1s", "--registry-url", ""}, "m", "1s", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			parsed := &grammar{}
			a := app()
			a.Grammar = parsed
			k, err := a.Parser()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.Parse(test.args); err != nil {
				t.Fatal(err)
			}
			w := parsed.Worker
			if w.Model != test.model || w.Grace.String() != test.grace || w.RegistryURL != test.registryURL {
				t.Errorf("model %q, grace %s, registry %q", w.Model, w.Grace, w.RegistryURL)
			}
			if w.QueenURL == nil || *w.QueenURL != "" {
				t.Errorf("an empty RBEE_QUEEN_URL is no queen, not %v", w.QueenURL)
			}
		})
	}
}

// someIDs are what there is of each kind.
func someIDs(kind string) []string {
	if kind == "" {
		return nil
	}
	return []string{kind + "-2", kind + "-1"}
}

// 0 is a choice of its own and not the default.
func TestZeroIsNotUnset(t *testing.T) {
	t.Setenv("RBEE_RUNTIME_DIR", t.TempDir())
	t.Setenv("RBEE_STATE_DIR", t.TempDir())
	off := launch.Limits{Stall: -1, Start: -1, Grace: -1, ProbePeriod: -1, ProbeTimeout: -1}
	for _, test := range []struct {
		args string
		want launch.Limits
	}{
		{"worker", launch.Limits{Stall: 2 * time.Minute, Start: time.Hour}},
		{"worker --stall-timeout 0 --start-timeout 0 --grace 0 --probe-interval 0 --probe-timeout 0", off},
		{"worker --grace 3s --probe-failures 2", launch.Limits{Stall: 2 * time.Minute, Start: time.Hour, Grace: 3 * time.Second, ProbeFailures: 2}},
	} {
		parsed := &grammar{}
		a := app()
		a.Grammar = parsed
		k, err := a.Parser()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Parse(strings.Fields(test.args)); err != nil {
			t.Fatal(err)
		}
		cfg, err := parsed.Worker.lifeFlags.config(&cli.Call{}, launch.Config{})
		if err != nil || cfg.Limits != test.want {
			t.Errorf("%s: %+v, %v, want %+v", test.args, cfg.Limits, err, test.want)
		}
	}
}

// Where nobody says how others reach it, the way to the registry tells; but who binds it to
// loopback keeps it to this machine.
func TestAdvertise(t *testing.T) {
	const here, there = "http://127.0.0.1:7830", "http://198.51.100.7:7830" // which no packet goes to
	outside := registry.AdvertiseFor(t.Context(), there)
	for _, test := range []struct {
		args, registry, want string
	}{
		{"worker", here, "localhost"},
		{"worker", "", "localhost"},
		{"worker", there, outside},
		{"worker --host 0.0.0.0", there, outside},
		{"worker --host 127.0.0.1", there, ""}, // launch's own default
		{"worker --advertise box2", there, "box2"},
		{"worker --advertise box2 --host 127.0.0.1", here, "box2"},
	} {
		parsed := &grammar{}
		a := app()
		a.Grammar = parsed
		k, err := a.Parser()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Parse(append(strings.Fields(test.args), "--registry-url", test.registry)); err != nil {
			t.Fatal(err)
		}
		cfg := parsed.Worker.placeFlags.config(t.Context(), parsed.Worker.RegistryURL, launch.Config{})
		if cfg.Advertise != test.want {
			t.Errorf("%s at %q: it advertises %q, want %q", test.args, test.registry, cfg.Advertise, test.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, test := range []struct {
		words string
		want  string
	}{
		{"wo", "worker"},
		{"e", "engines exec"},
		{"complete", ""}, // hidden, and "completion" is longer
		{"compl", "completion"},
		{"worker --res", "--restart"},
		{"worker --restart ", "always never on-failure"},
		{"worker --restart on", "on-failure"},
		{"worker --model some --restart ", "always never on-failure"},
		{"worker --json --log-level w", "warn"},
		{"worker --log-level=debug --res", "--restart"},
		{"worker --model ", ""}, // a file, perhaps: the shell's own completion
		{"worker -- --res", ""}, // the engine's words, not ours
		{"completion ", "bash fish zsh"},
		{"completion z", "zsh"},
		{"completion zsh ", ""}, // there is no second argument
		{"worker --engine ", "engine-1 engine-2"},
		{"worker --engine engine-1 --res", "--restart"},
		{"logs ", "logged-1 logged-2"},
		{"logs -f --tail 3 logged-2", "logged-2"},
		{"logs logged-1 ", ""},
		{"stop ", "launched-1 launched-2"},
		{"stop launched-2 ", "launched-1"}, // of many, each once
		{"stop launched-2 launched-1 ", ""},
		{"restart launched-2 ", ""},
		{"logs -n ", ""},
		{"logs -n 3 ", "logged-1 logged-2"},
		{"logs tail ", ""}, // an id, though a flag has the name
	} {
		words := strings.Split(test.words, " ")
		if got := strings.Join(candidates(parser(t).Model.Node, words, someIDs), " "); got != test.want {
			t.Errorf("%q: %q, not %q", test.words, got, test.want)
		}
	}
}

func TestCandidatesOfNothing(t *testing.T) {
	got := candidates(parser(t).Model.Node, nil, someIDs)
	if !slices.Contains(got, "worker") || slices.Contains(got, "complete") {
		t.Errorf("%q", got)
	}
}
