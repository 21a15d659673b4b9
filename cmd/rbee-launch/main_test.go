package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// The test binary is every program of rbee's, by argv[0], as rbee-launch itself is.
func TestMain(m *testing.M) {
	guard.Main()
	daemon := func(name string) func() {
		return func() { os.Exit(program.Main(name, os.Args[1:])) }
	}
	testscript.Main(m, map[string]func(){
		"rbee-launch":        main,
		program.RegistryName: daemon(program.RegistryName),
		program.QueenName:    daemon(program.QueenName),
		program.WorkerName:   daemon(program.WorkerName),
	})
}

// TestScript runs the stories in testdata/script, one file each. They run side by
// side, with folders and ports of their own.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": freeport,
			"await":    await,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// setup keeps a story's launches away from the user's and from other stories'.
func setup(env *testscript.Env) error {
	for _, name := range []string{"RBEE_RUNTIME_DIR=run", "RBEE_STATE_DIR=state", "XDG_CONFIG_HOME=config", "HOME=home"} {
		key, dir, _ := strings.Cut(name, "=")
		env.Setenv(key, env.WorkDir+"/"+dir)
	}
	env.Setenv("REPO", repoRoot())
	for _, key := range []string{"GORACE", "RBEE_CI"} {
		env.Setenv(key, os.Getenv(key))
	}
	return nil
}

// freeport sets variables to ports that no other story has: freeport REGISTRY QUEEN.
// The launchers want to lease these themselves, so what the story holds is the
// lease of another port that stands for it.
func freeport(ts *testscript.TestScript, _ bool, names []string) {
	const apart = 5000
	for _, name := range names {
		lease, err := ports.Acquire(context.Background(), ports.Config{Range: ports.Range{First: 15000, Last: 19999}})
		ts.Check(err)
		ts.Defer(func() { _ = lease.Release() })
		ts.Setenv(name, fmt.Sprint(lease.Port()-apart))
	}
}

// await runs a command again and again until what it prints matches: await REGEXP
// COMMAND ARGUMENTS. With ! it waits until nothing matches any more.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] await REGEXP COMMAND [ARGUMENT...]")
	}
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	deadline := time.Now().Add(time.Minute) // for a machine under load; it ends at once when it matches
	var out []byte
	for time.Now().Before(deadline) {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Dir = ts.Getenv("WORK")
		cmd.Env = scriptEnv(ts)
		out, _ = cmd.CombinedOutput() // a failure shows in what it prints
		if re.Match(out) != neg {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("await %q: it last printed:\n%s", args[0], out)
}

func scriptEnv(ts *testscript.TestScript) []string {
	var env []string
	for _, key := range []string{
		"PATH", "HOME", "WORK", "RBEE_RUNTIME_DIR", "RBEE_STATE_DIR", "XDG_CONFIG_HOME", "GORACE", "TMPDIR",
	} {
		env = append(env, key+"="+ts.Getenv(key))
	}
	return env
}

func repoRoot() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(filepath.Dir(dir))
}
