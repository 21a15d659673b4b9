package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// The test binary is every program of rbee's, by argv[0], as rbee-gui itself is.
func TestMain(m *testing.M) {
	guard.Main()
	programs := map[string]func(){program.GUIName: main, engineName: engine}
	for _, name := range []string{program.RegistryName, program.QueenName, program.HiveName, program.KeeperName, program.WorkerName} {
		programs[name] = func() { os.Exit(program.Main(name, os.Args[1:])) }
	}
	testscript.Main(m, programs)
}
