package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/credentials"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// daemonFlags are those of one of rbee's own daemons, which keeps its usual port and
// registers itself.
type daemonFlags struct {
	Extra []string `arg:"" optional:"" help:"Flags for the daemon itself, after '--'." placeholder:"FLAG"`
	lifeFlags
	sidecarFlags
	outputFlags
}

// Validate is called by kong.
func (f daemonFlags) Validate() error { return f.check() }

type registryCmd struct {
	Listen string `help:"Where it is to listen (default: ${default})." default:"0.0.0.0:7830" placeholder:"HOST:PORT"`
	daemonFlags
}

// Run launches the registry, unless one runs there already.
func (c *registryCmd) Run(call *cli.Call) error {
	return c.launch(call, program.RegistryName, c.Listen, isRegistry)
}

type queenCmd struct {
	Listen      string `help:"Where it is to listen (default: ${default})." default:"0.0.0.0:7833" placeholder:"HOST:PORT"`
	RegistryURL string `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
	daemonFlags
}

// Run launches the queen, unless one runs there already.
func (c *queenCmd) Run(call *cli.Call) error {
	c.Extra = append([]string{"--registry-url=" + c.RegistryURL}, c.Extra...)
	return c.launch(call, program.QueenName, c.Listen, isQueen)
}

type hiveCmd struct {
	Listen      string `help:"Where it is to listen (default: ${default})." default:"0.0.0.0:7835" placeholder:"HOST:PORT"`
	RegistryURL string `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
	daemonFlags
}

// Run launches the hive, unless one runs there already. Below a launch its workers end
// with it, as everything does there.
func (c *hiveCmd) Run(call *cli.Call) error {
	c.Extra = append([]string{"--registry-url=" + c.RegistryURL, "--stop-workers"}, c.Extra...)
	return c.launch(call, program.HiveName, c.Listen, isHive)
}

type guiCmd struct {
	Listen      string `help:"Where it is to listen (default: ${default})." default:"127.0.0.1:5173" placeholder:"HOST:PORT"`
	RegistryURL string `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
	daemonFlags
}

// Run launches the web page, unless it runs there already. Below a launch the workers that
// it has spawned end with it.
func (c *guiCmd) Run(call *cli.Call) error {
	c.Extra = append([]string{"--registry-url=" + c.RegistryURL, "--stop-workers"}, c.Extra...)
	return c.launch(call, program.GUIName, c.Listen, isGUI)
}

func (f daemonFlags) launch(call *cli.Call, name, listen string, runs func(context.Context, string) bool) error {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return cli.WithCode(cli.CodeUsage, fmt.Errorf("--listen: %w", err))
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 1 || port > 65535 {
		return cli.WithCode(cli.CodeUsage, fmt.Errorf("--listen: %q is no port: 1-65535 are", portText))
	}
	if slices.ContainsFunc(f.Extra, speaksTLS) {
		return cli.WithCode(cli.CodeUsage, cli.WithHint(
			fmt.Errorf("%s can't be launched with TLS: whether it is ready is asked by plain HTTP", name),
			"start %s itself, or as a service of systemd's", name))
	}
	cfg, err := f.config(call, launch.Config{ID: name, Type: name, Engine: name, Private: true, Host: host, Port: port})
	if err != nil {
		return err
	}
	cfg.Program = launch.Own(name, append([]string{"--listen={host}:{port}"}, f.Extra...)...)
	err = keep(call, f.sidecarFlags, f.outputFlags, cfg)
	var taken *ports.TakenError
	var inUse *launch.InUseError
	if url := (launch.Target{Host: host, Port: port}).URL(); (errors.As(err, &taken) || errors.As(err, &inUse)) && runs(call.Context, url) {
		out := call.Stdout
		if f.JSON {
			out = call.Stderr // stdout is for events
		}
		_, err = fmt.Fprintf(out, "%s runs already: %s%s\n", name, url, holder(call.Context, port))
	}
	return err
}

// speaksTLS reports whether a daemon's flag is for its own server.
func speaksTLS(arg string) bool {
	flag, _, _ := strings.Cut(arg, "=")
	return slices.Contains([]string{"--tls-cert", "--tls-key", "--tls-client-ca"}, flag)
}

// holder names the process that listens on a port: " (pid 42)".
func holder(ctx context.Context, port int) string {
	who, err := ports.Leases(ctx, ports.Config{Range: ports.Range{First: port, Last: port}})
	if err != nil || len(who) == 0 || who[0].Listener.PID == 0 {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", who[0].Listener.PID)
}

// isRegistry reports whether a registry answers at the URL.
func isRegistry(ctx context.Context, url string) bool {
	return askRegistry(credentials.Shown{})(ctx, url) == nil
}

// isQueen reports whether a queen answers at the URL.
func isQueen(ctx context.Context, url string) bool {
	return askQueen(credentials.Shown{})(ctx, url) == nil
}

// isHive reports whether a hive answers at the URL.
func isHive(ctx context.Context, url string) bool {
	c, err := hive.New(hive.Config{URL: url})
	if err != nil {
		return false
	}
	defer c.Close()
	var who struct {
		Kind registry.Kind `json:"component_type"`
	}
	return c.Capabilities(ctx, &who) == nil && who.Kind == registry.Hive
}

// isGUI reports whether a web page of ours answers at the URL: it can spawn as a hive can.
func isGUI(ctx context.Context, url string) bool { return isHive(ctx, url+"/api/here") }

// askRegistry finds out whether a registry answers, and talks to us.
func askRegistry(shown credentials.Shown) func(ctx context.Context, url string) error {
	return func(ctx context.Context, url string) error {
		c, err := registry.NewClient(registry.Config{URL: url, Token: shown.Token, TLS: shown.TLS})
		if err != nil {
			return err
		}
		defer c.Close()
		answer, err := c.Components(ctx)
		if err == nil && answer.Value.Epoch == "" {
			err = errors.New("its answer is not a registry's")
		}
		return err
	}
}

// askQueen finds out whether a queen answers, and talks to us.
func askQueen(shown credentials.Shown) func(ctx context.Context, url string) error {
	return func(ctx context.Context, url string) error {
		c, err := queen.New(queen.Config{URL: url, Token: shown.Token, TLS: shown.TLS})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Workers(ctx)
		return err
	}
}
