package launch

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// Where a component can be registered; Event.With.
const (
	withRegistry = "registry"
	withQueen    = "queen"
)

// announcer keeps one life of a child known while it is ready.
type announcer struct {
	healthy atomic.Bool
	cancel  context.CancelCauseFunc // registry.ErrHandedOver: without a farewell
	done    sync.WaitGroup
}

// newAnnouncer registers a life and beats for it until its cancel is called. It
// outlives ctx, so that the farewell can be said after ctx has ended.
func (l *launching) newAnnouncer(ctx context.Context, life registry.Component) *announcer {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	a := &announcer{cancel: cancel}
	a.healthy.Store(true)
	if l.cfg.Registry != nil {
		a.to(ctx, l, withRegistry, l.cfg.Registry, life, 1)
	}
	if l.cfg.Queen != nil {
		a.to(ctx, l, withQueen, l.cfg.Queen, life, 2) // the queen's beat is half as fast
	}
	return a
}

func (a *announcer) to(ctx context.Context, l *launching, name string, r registry.Registrar, life registry.Component, every time.Duration) {
	run := registry.Announcement{
		To: r, Component: life, Healthy: a.healthy.Load, Log: l.cfg.Log.With("with", name),
		Interval: l.cfg.HeartbeatInterval * every, Hurry: l.cfg.Hurry, BeatAtOnce: name == withQueen,
		OnState: func(s registry.State) { l.onState(name, life.InstanceID, s) },
	}
	a.done.Go(func() { run.Run(ctx) })
}
