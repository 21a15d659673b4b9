// Command queen-rbee is the orchestrator: knows every worker and what it can do.
package main

import (
	"os"

	"github.com/rbee-launch/rbee-launch/internal/program"
)

func main() { os.Exit(program.Main("queen-rbee", os.Args[1:])) }
