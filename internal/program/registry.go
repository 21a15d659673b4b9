package program

import (
	"context"
	"fmt"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// Registry is rbee-registry's command line.
type Registry struct {
	Listen        string        `help:"Where to listen (default: ${default})." default:"0.0.0.0:7830" placeholder:"HOST:PORT"`
	OnlineWindow  time.Duration `help:"A component silent for longer is offline." default:"30s"`
	RemoveAfter   time.Duration `help:"A component silent for longer is forgotten." default:"90s"`
	MaxComponents int           `help:"So many components are kept, more are refused (default: ${default})." default:"100000" placeholder:"N"`
	MaxPerAddress int           `help:"So many components may be registered from one other machine (default: ${default})." default:"4096" placeholder:"N"`
	MaxWatchers   int           `help:"So many clients may watch or poll at once (default: ${default})." default:"20000" placeholder:"N"`
	Access
	cli.LogFlags
}

// Validate is called by kong.
func (r *Registry) Validate() error {
	switch {
	case r.OnlineWindow == 0:
		return fmt.Errorf("--online-window: no heartbeat arrives within %s", r.OnlineWindow)
	case r.RemoveAfter == 0:
		return fmt.Errorf("--remove-after: nothing is kept for %s", r.RemoveAfter)
	case r.RemoveAfter < r.OnlineWindow:
		return fmt.Errorf("--remove-after: %s is below --online-window, %s: a component is offline before it is forgotten",
			r.RemoveAfter, r.OnlineWindow)
	}
	for _, f := range []struct {
		flag  string
		value int
	}{
		{"--max-components", r.MaxComponents}, {"--max-per-address", r.MaxPerAddress}, {"--max-watchers", r.MaxWatchers},
	} {
		if f.value < 1 {
			return fmt.Errorf("%s: it takes 1 at least, not %d", f.flag, f.value)
		}
	}
	return nil
}

// Run serves until a signal ends it.
func (r *Registry) Run(call *cli.Call) error {
	log := r.Logger(call.Stderr)
	ln, access, err := r.open(call.Context, call, log, r.Listen, "--listen HOST:PORT")
	if err != nil {
		return err
	}
	log.Info("rbee-registry listens", "addr", ln.Addr())
	return serve(call.Context, log, ln, access, func(ctx context.Context) error {
		return server.Run(ctx, ln, server.Config{
			OnlineWindow: r.OnlineWindow, RemoveAfter: r.RemoveAfter,
			MaxComponents: r.MaxComponents, MaxPerAddress: r.MaxPerAddress, MaxWatchers: r.MaxWatchers,
			Access: access, Log: log,
		})
	})
}
