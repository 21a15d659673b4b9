package program

import (
	"context"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// Registry is rbee-registry's command line.
type Registry struct {
	Listen       string        `help:"Where to listen (default: ${default})." default:"0.0.0.0:7830" placeholder:"HOST:PORT"`
	OnlineWindow time.Duration `help:"A component silent for longer is offline." default:"30s"`
	RemoveAfter  time.Duration `help:"A component silent for longer is forgotten." default:"90s"`
	Access
	cli.LogFlags
}

// Run serves until a signal ends it.
func (r *Registry) Run(call *cli.Call) error {
	log := r.Logger(call.Stderr)
	ln, err := listen(call.Context, r.Listen, "--listen")
	if err != nil {
		return err
	}
	access, err := r.httpd(call, ln)
	if err != nil {
		_ = ln.Close()
		return err
	}
	log.Info("rbee-registry listens", "addr", ln.Addr())
	return serve(call.Context, log, ln, access.Token, func(ctx context.Context) error {
		return server.Run(ctx, ln, server.Config{
			OnlineWindow: r.OnlineWindow, RemoveAfter: r.RemoveAfter,
			Access: access, Log: log,
		})
	})
}
