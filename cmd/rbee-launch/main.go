// Command rbee-launch starts a server, knows that it is ready, has others find it,
// keeps it alive and takes it down. See README.md.
package main

import (
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/pid1"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// ownName is this program's, by whatever name it was called.
const ownName = sidecar.DefaultProgram

func main() { os.Exit(run()) }

// run is main with an exit code. This file is four programs: the guard of a launch, a
// container's init, rbee's daemons when it is called by their names, and rbee-launch.
func run() int {
	guard.Main()
	pid1.Main()
	if called := filepath.Base(os.Args[0]); program.Knows(called) {
		return program.Main(called, os.Args[1:])
	}
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--version" { // as our daemons have it
		args = append([]string{"version"}, args[1:]...)
	}
	return cli.Main(app(), args)
}

func app() cli.App {
	return cli.App{
		Name:    ownName,
		About:   "Start a server, know that it is ready, have others find it, keep it alive, leave nothing behind.",
		Grammar: &grammar{},
		Vars: kong.Vars{
			"ports": ports.DefaultRange().String(), "registry": registry.DefaultURL, "queen": queen.DefaultURL,
		},
		Explain: explain,
		Options: []kong.Option{kong.ExplicitGroups(groups)},
	}
}

type grammar struct {
	Worker   workerCmd   `cmd:"" help:"Launch a model server and register it."`
	Exec     execCmd     `cmd:"" help:"Launch any server at all and register it."`
	Spawn    spawnCmd    `cmd:"" help:"Have a hive of the cluster launch a worker, through the queen."`
	Registry registryCmd `cmd:"" help:"Launch rbee-registry, the discovery daemon."`
	Queen    queenCmd    `cmd:"" help:"Launch queen-rbee, the orchestrator."`
	Hive     hiveCmd     `cmd:"" help:"Launch rbee-hive, which spawns workers on request."`
	GUI      guiCmd      `cmd:"" name:"gui" help:"Launch rbee-gui, the web page."`
	Up       upCmd       `cmd:"" help:"Bring up a registry, a queen, a worker and the web page, and keep them."`
	Run      runCmd      `cmd:"" help:"Bring up a stack of its own, run a command against it, take it down."`

	Ps      psCmd      `cmd:"" help:"List what is launched."`
	Logs    logsCmd    `cmd:"" help:"Print what a child has printed."`
	Stop    stopCmd    `cmd:"" help:"Stop launches."`
	Restart restartCmd `cmd:"" help:"Stop a launch's child and start it again."`
	Wait    waitCmd    `cmd:"" help:"Wait until a launch has ended, and end with its exit code."`
	Inspect inspectCmd `cmd:"" help:"Print all there is to know of a launch, as JSON."`
	Attach  attachCmd  `cmd:"" help:"Show a launch's events and output as they come."`
	Adopt   adoptCmd   `cmd:"" help:"Take over children whose launcher was killed, as they are."`
	Upgrade upgradeCmd `cmd:"" help:"Have launchers go on as this version of the program."`
	Engines enginesCmd `cmd:"" help:"List the engines, and which are installed."`
	Ports   portsCmd   `cmd:"" help:"List who holds which ports."`
	Devices devicesCmd `cmd:"" help:"List the machine's GPUs."`
	Doctor  doctorCmd  `cmd:"" help:"Say which guards this machine gives, and what is wrong with it."`

	Version    cli.VersionCmd `cmd:"" help:"Print the version."`
	Completion completionCmd  `cmd:"" help:"Print a script that makes a shell complete our commands."`
	Complete   completeCmd    `cmd:"" hidden:"" help:"Answer a completion script." passthrough:""`
}

var groups = []kong.Group{
	{Key: "where", Title: "Where it is:"},
	{Key: "known", Title: "Where it registers:"},
	{Key: "life", Title: "Its life:"},
	{Key: "health", Title: "When it is ready:"},
	{Key: "output", Title: "Output:"},
}
