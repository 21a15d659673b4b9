package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rbee-launch/rbee-launch/internal/program"
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
		panicking:            panicLater,
		otherName:            other,
		program.RegistryName: daemon(program.RegistryName),
		program.QueenName:    daemon(program.QueenName),
		program.HiveName:     daemon(program.HiveName),
		program.KeeperName:   daemon(program.KeeperName),
		program.GUIName:      daemon(program.GUIName),
		program.WorkerName:   daemon(program.WorkerName),
	})
}

// TestScript runs the stories in testdata/script, one file each. They run side by
// side, with folders and ports of their own. Their commands are in script_test.go.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds:                scriptCommands,
		Condition:           condition,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// setup keeps a story's launches away from the user's and from other stories', and
// holds each story to leaving nothing behind.
func setup(env *testscript.Env) error {
	for _, name := range []string{"RBEE_RUNTIME_DIR=run", "RBEE_STATE_DIR=state", "XDG_CONFIG_HOME=config", "HOME=home"} {
		key, dir, _ := strings.Cut(name, "=")
		env.Setenv(key, filepath.Join(env.WorkDir, dir))
	}
	launcher, err := exec.LookPath("rbee-launch") // for stories whose PATH has nothing
	if err != nil {
		return err
	}
	env.Setenv("BIN", filepath.Dir(launcher))
	for _, key := range []string{"GORACE", "RBEE_CI"} {
		env.Setenv(key, os.Getenv(key))
	}
	s := newStory(env)
	env.Values[storyKey{}] = s
	env.Defer(s.end)
	return nil
}

// panicking is rbee-launch with a defect.
const panicking = "rbee-launch-panicking"

// panicLater is its main: it panics when its standard input ends.
func panicLater() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // the end is what is waited for
		panic("as the test wants it")
	}()
	main()
}
