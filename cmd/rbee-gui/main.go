// Command rbee-gui is the web page of an rbee cluster.
package main

import (
	"os"
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

func main() {
	guard.Main()
	// This file is the keeper and the built-in worker, too, when it is called by their names.
	if name := filepath.Base(os.Args[0]); program.Knows(name) {
		os.Exit(program.Main(name, os.Args[1:]))
	}
	os.Exit(program.Main(program.GUIName, os.Args[1:]))
}
