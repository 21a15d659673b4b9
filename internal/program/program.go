package program

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// The programs' names.
const (
	RegistryName = "rbee-registry"
	QueenName    = "queen-rbee"
	HiveName     = "rbee-hive"
	GUIName      = "rbee-gui"
	WorkerName   = "llm-worker-rbee"
	// KeeperName is what a keeper is called, to be none of those that end with its hive's
	// name. As HiveName with hive.KeepCommand it is the same.
	KeeperName = "rbee-keeper"
)

func apps() map[string]cli.App {
	return map[string]cli.App{
		RegistryName: {About: "The discovery daemon of an rbee cluster: who is there, and who still lives. Everything is in memory.", Grammar: &Registry{}},
		QueenName:    {About: "The orchestrator of an rbee cluster: knows every worker and what it can do.", Grammar: &Queen{}},
		HiveName:     {About: "One on each machine of an rbee cluster: spawns workers there on request, and stops them. They outlive it.", Grammar: &Hive{}},
		KeeperName:   {About: "A hive's keeper of one worker. Hives start it.", Grammar: &keeper{}},
		GUIName:      {About: "The web page of an rbee cluster: see, spawn, stop and talk to workers, with or without a queen.", Grammar: &GUI{}},
		WorkerName:   {About: "The built-in worker: an honest simulation of a model server, for trials and CI. It runs no model.", Grammar: &Worker{}},
	}
}

// Knows reports whether name is one of these programs.
func Knows(name string) bool {
	_, ok := apps()[name]
	return ok
}

// Main runs the named program and returns its exit code.
func Main(name string, args []string) int {
	// Started from another program's file, it would show under that one's name.
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0) // Linux alone, for ps alone
	app := apps()[name]
	app.Name = name
	app.About += fmt.Sprintf(" '%s version' prints the version.", name)
	// As a command of the grammar's it would take the flags out of --help.
	if len(args) > 0 && (args[0] == "version" || args[0] == "--version") {
		app.Grammar, args = &cli.VersionCmd{}, args[1:]
	}
	if name == HiveName && len(args) > 0 && args[0] == hive.KeepCommand {
		app.Grammar = &keeper{}
	}
	app.Vars = kong.Vars{
		"registry": registry.DefaultURL, "queen": client.DefaultURL, "ports": ports.DefaultRange().String(), "models": modelDir(),
	}
	return cli.Main(app, args)
}

// Beats is the heartbeat flag of whatever sends any.
type Beats struct {
	HeartbeatInterval time.Duration `help:"Between heartbeats to the registry; the queen gets half as many." default:"15s"`
}

// RegistryURL is the flag of whatever talks to the registry.
type RegistryURL struct {
	RegistryURL string `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
}

// RegistryCache is the folder where the last answers of registries are kept: registry-cache in
// the state folder, or none where there is no such folder.
func RegistryCache() string {
	state, err := cli.StateDir()
	if err != nil {
		return ""
	}
	return filepath.Join(state, "registry-cache")
}

// advertised is the host that a daemon gives out: the one that it was told, else the one under
// which those who use the registry reach it at ln. A hidden daemon is reached by this machine
// alone while the registry is on another: there it is not to be listed, since the registry
// would have it under this machine's address, where nothing answers. Flag is the one by which
// it would listen elsewhere.
func advertised(ctx context.Context, log *slog.Logger, told cli.Host, ln net.Listener, registryURL, flag string) (host string, hidden bool) {
	if told != "" {
		return string(told), false
	}
	way := registry.AdvertiseFor(ctx, registryURL)
	if !httpd.IsLoopback(ln.Addr().String()) {
		return way, false
	}
	if hidden = way != "localhost"; hidden {
		log.Warn("the registry is on another machine, and others can't reach what listens here: it is not registered there; "+flag+" names another address",
			"listen", ln.Addr().String(), "registry", registryURL, "advertise", way)
	}
	if addr, ok := ln.Addr().(*net.TCPAddr); ok && !addr.IP.Equal(net.IPv4(127, 0, 0, 1)) {
		return addr.IP.String(), hidden // localhost is 127.0.0.1 at most places
	}
	return "localhost", hidden
}
