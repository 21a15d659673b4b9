package program

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// The programs' names.
const (
	RegistryName = "rbee-registry"
	QueenName    = "queen-rbee"
	WorkerName   = "llm-worker-rbee"
)

func apps() map[string]cli.App {
	return map[string]cli.App{
		RegistryName: {About: "The discovery daemon of an rbee cluster: who is there, and who still lives. Everything is in memory.", Grammar: &Registry{}},
		QueenName:    {About: "The orchestrator of an rbee cluster: knows every worker and what it can do.", Grammar: &Queen{}},
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
	app.Vars = kong.Vars{"registry": registry.DefaultURL, "queen": client.DefaultURL}
	return cli.Main(app, args)
}

// Access are the flags of a server that other machines may reach.
type Access struct {
	TokenFile string   `help:"The token that callers from other machines must show; made when missing (default: \"token\" in the state folder)." placeholder:"FILE"`
	AllowHost []string `help:"A host name that requests may be addressed to, besides IP addresses, localhost and this machine's name." placeholder:"NAME"`
	MaxRate   int      `help:"So many requests a second are taken from one other machine, twice that in a burst; 0 is no limit." default:"1000" placeholder:"N"`
}

// Validate is called by kong.
func (a Access) Validate() error {
	if a.MaxRate < 0 {
		return fmt.Errorf("--max-rate: %d is below zero", a.MaxRate)
	}
	return nil
}

// httpd reads or makes the token, if the listener can be reached from elsewhere.
func (a Access) httpd(call *cli.Call, ln net.Listener) (httpd.Access, error) {
	access := httpd.Access{Hosts: a.AllowHost, MaxRate: a.MaxRate}
	if a.MaxRate == 0 {
		access.MaxRate = -1
	}
	if httpd.IsLoopback(ln.Addr().String()) {
		return access, nil
	}
	path := a.TokenFile
	if path == "" {
		dir, err := cli.StateDir()
		if err != nil {
			return access, err
		}
		path = filepath.Join(dir, "token")
	}
	token, made, err := httpd.TokenFile(path)
	if err != nil {
		return access, err
	}
	if made {
		fmt.Fprintf(call.Stderr, "made a token for callers from other machines: %s\n", path)
	}
	access.Token, access.TokenHint = token, "it is in "+path+" on the server's machine"
	return access, nil
}

// listen opens the listener, with a hint when somebody has the port already.
func listen(ctx context.Context, addr, flag string) (net.Listener, error) {
	ln, err := httpd.Listen(ctx, addr)
	if err != nil {
		return nil, cli.WithHint(err, "%s HOST:PORT names another address", flag)
	}
	return ln, nil
}

// Beats is the heartbeat flag of whatever sends any.
type Beats struct {
	HeartbeatInterval time.Duration `help:"Between heartbeats to the registry; the queen gets half as many." default:"15s"`
}

// RegistryURL is the flag of whatever talks to the registry.
type RegistryURL struct {
	RegistryURL string `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
}
