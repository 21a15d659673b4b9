package program

import (
	"context"
	"errors"
	"net"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// GUI is rbee-gui's command line.
type GUI struct {
	Listen    string   `help:"Where to listen (default: ${default})." default:"127.0.0.1:5173" placeholder:"HOST:PORT"`
	ID        ID       `help:"Its id in the registry." default:"gui"`
	Advertise cli.Host `help:"The host under which others reach it." default:"localhost" placeholder:"HOST"`
	QueenURL  *string  `name:"queen-url" help:"The queen (default: the one the registry knows, else ${queen}); empty for none." placeholder:"URL"`
	Spawning
	RegistryURL
	Beats
	Access
	Trust
	cli.LogFlags
}

// Run serves until a signal ends it. Workers that it has spawned go on.
func (g *GUI) Run(call *cli.Call) error {
	log := g.Logger(call.Stderr)
	here, err := g.config()
	if err != nil {
		return err
	}
	ln, access, err := g.open(call.Context, call, log, g.Listen, "--listen HOST:PORT")
	if err != nil {
		return err
	}
	from, shown, err := g.read(g.TokenFile)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	here.Credentials = from
	one, err := gui.New(call.Context, gui.Config{
		ID: string(g.ID), Advertise: string(g.Advertise), RegistryURL: g.RegistryURL.RegistryURL, QueenURL: g.QueenURL, Token: shown.Token, TLS: shown.TLS,
		CacheDir: RegistryCache(), HeartbeatInterval: g.HeartbeatInterval, Version: cli.Version(),
		Here: here, Access: access, Log: log,
	})
	if err != nil {
		return cli.WithCode(cli.CodeUsage, errors.Join(err, ln.Close()))
	}
	if access.Token != "" {
		file, err := g.tokenPath()
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		log.Info("from other machines: open "+g.login(ln.Addr(), access)+" once, with the token from the file", "token_file", file)
	}
	log.Info("rbee-gui listens", "addr", ln.Addr())
	return serve(call.Context, log, ln, access, func(ctx context.Context) error { return one.Run(ctx, ln) })
}

// login is the address that lets a browser on another machine in.
func (g *GUI) login(addr net.Addr, access httpd.Access) string {
	bound, port, _ := net.SplitHostPort(addr.String()) // a listener's own
	host, scheme := string(g.Advertise), "http"
	if registry.Loopback(host) { // it gives out no name that others know
		if host = bound; net.ParseIP(bound).IsUnspecified() {
			host = "THIS-MACHINE"
		}
	}
	if access.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/?token=TOKEN"
}
