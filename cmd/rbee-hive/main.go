// Command rbee-hive spawns workers on this machine on request.
package main

import (
	"os"
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

func main() {
	guard.Main()
	// This file is the built-in worker, too, when it is called by that name.
	if name := filepath.Base(os.Args[0]); program.Knows(name) {
		os.Exit(program.Main(name, os.Args[1:]))
	}
	os.Exit(program.Main(program.HiveName, os.Args[1:]))
}
