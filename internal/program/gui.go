package program

import (
	"context"
	"errors"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// GUI is rbee-gui's command line.
type GUI struct {
	Listen    string   `help:"Where to listen (default: ${default})." default:"127.0.0.1:5173" placeholder:"HOST:PORT"`
	ID        string   `help:"Its id in the registry." default:"gui"`
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
	ln, access, err := g.open(call.Context, call, log, g.Listen, "--listen")
	if err != nil {
		return err
	}
	shown, err := g.Shown(g.TokenFile)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	if here.Credentials, err = g.Files(g.TokenFile).Absolute(); err != nil {
		return errors.Join(err, ln.Close())
	}
	one, err := gui.New(call.Context, gui.Config{
		ID: g.ID, Advertise: string(g.Advertise), RegistryURL: g.RegistryURL.RegistryURL, QueenURL: g.QueenURL, Token: shown.Token, TLS: shown.TLS,
		CacheDir: RegistryCache(), HeartbeatInterval: g.HeartbeatInterval, Version: cli.Version(),
		Here: here, Access: access, Log: log,
	})
	if err != nil {
		return cli.WithCode(cli.CodeUsage, errors.Join(err, ln.Close()))
	}
	log.Info("rbee-gui listens", "addr", ln.Addr())
	return serve(call.Context, log, ln, access, func(ctx context.Context) error { return one.Run(ctx, ln) })
}
