// Command rbee-registry is the discovery daemon: who is there, and who still lives.
package main

import (
	"os"

	"github.com/rbee-launch/rbee-launch/internal/program"
)

func main() { os.Exit(program.Main("rbee-registry", os.Args[1:])) }
