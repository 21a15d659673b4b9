// Command llm-worker-rbee is the built-in worker, a simulation of a model server.
package main

import (
	"os"

	"github.com/rbee-launch/rbee-launch/internal/program"
)

func main() { os.Exit(program.Main("llm-worker-rbee", os.Args[1:])) }
