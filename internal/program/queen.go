package program

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/queen"
)

// Queen is queen-rbee's command line.
type Queen struct {
	Listen       string        `help:"Where to listen (default: ${default})." default:"0.0.0.0:7833" placeholder:"HOST:PORT"`
	ID           ID            `help:"Her id in the registry." default:"queen"`
	Advertise    cli.Host      `help:"The host under which others reach her (default: localhost, or the address by which a registry on another machine is reached)." placeholder:"HOST"`
	OfflineAfter time.Duration `help:"A worker silent for longer is offline." default:"90s"`
	PollInterval time.Duration `help:"Between looks at a registry that can't be watched." default:"1s"`
	RegistryURL
	Beats
	Access
	Trust
	cli.LogFlags
}

// Validate is called by kong.
func (q *Queen) Validate() error {
	switch {
	case q.OfflineAfter <= 0:
		return fmt.Errorf("--offline-after: no worker is online for %s", q.OfflineAfter)
	case q.PollInterval <= 0:
		return fmt.Errorf("--poll-interval: there have to be pauses, not %s", q.PollInterval)
	}
	return nil
}

// Run serves until a signal ends it.
func (q *Queen) Run(call *cli.Call) error {
	log := q.Logger(call.Stderr)
	ln, access, err := q.open(call.Context, call, log, q.Listen, "--listen HOST:PORT")
	if err != nil {
		return err
	}
	shown, err := q.Shown(q.TokenFile)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	log.Info("queen-rbee listens", "addr", ln.Addr())
	advertise, hidden := advertised(call.Context, log, q.Advertise, ln, q.RegistryURL.RegistryURL, "--listen HOST:PORT")
	her := queen.New(queen.Config{
		ID: string(q.ID), Advertise: advertise, Hidden: hidden, RegistryURL: q.RegistryURL.RegistryURL, Token: shown.Token, TLS: shown.TLS,
		HeartbeatInterval: q.HeartbeatInterval, PollInterval: q.PollInterval, OfflineAfter: q.OfflineAfter,
		Hurry: call.Hurry, CacheDir: RegistryCache(),
		Access: access, Log: log,
	})
	return serve(call.Context, log, ln, access, func(ctx context.Context) error { return her.Run(ctx, ln) })
}
