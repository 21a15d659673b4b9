package launch

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

const capabilitiesLimit = 500 * time.Millisecond

// launching is one Run. Its supervisor's goroutine owns berth, and alone writes
// target; what is below mu is shared with the announcers and the farewell.
type launching struct {
	cfg   Config
	berth berth

	mu        sync.Mutex // orders events, too
	target    Target
	announced *announcer   // of the life that is ready; nil while none is
	leaving   []*announcer // of earlier ones, on their way out
	stopping  bool
	record    *record
	shown     Launch
}

// Run launches the child and keeps it until ctx ends or it has ended for good. Its
// errors are those of supervisor.Run, those of package ports when no port is to be
// had, and *InUseError when the id is another launch's. A stop by ctx is none.
func Run(ctx context.Context, cfg Config) error {
	l := &launching{cfg: cfg.withDefaults()}
	l.berth.cfg = l.cfg
	// The supervisor ends not by ctx but by stop, after the farewells.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	var farewell sync.WaitGroup
	farewell.Go(func() {
		defer stop()
		select {
		case <-ctx.Done():
			l.sayFarewell()
		case <-ended:
		}
	})
	err := supervisor.Run(inner, supervisor.Config{
		Spec:    l.spec,
		Restart: l.cfg.Restart,
		OnEvent: func(e supervisor.Event) { l.onEvent(ctx, e) },
		OnLine:  l.cfg.OnLine,
		Hurry:   l.cfg.Hurry,
		Guard:   l.cfg.Guard,
		Log:     l.cfg.Log,
	})
	close(ended)
	farewell.Wait()
	return errors.Join(err, l.close())
}

// spec answers for each start with where it is to be: usually where the last life
// was, as a new instance.
func (l *launching) spec(ctx context.Context, a supervisor.Attempt) (supervisor.Spec, error) {
	port, moved, err := l.berth.port(ctx, a.Last)
	if err != nil {
		return supervisor.Spec{}, err
	}
	l.mu.Lock()
	l.target = Target{ID: l.cfg.id(port), InstanceID: ulid.Make().String(), Host: l.cfg.Host, Port: port}
	l.mu.Unlock()
	if moved {
		if err := l.showAs(ctx, l.target.ID); err != nil {
			return supervisor.Spec{}, err
		}
		l.emit(Event{Event: Leased})
	}
	spec, err := l.cfg.Program(ctx, l.target)
	if err != nil {
		return spec, err
	}
	spec = l.cfg.Limits.apply(spec)
	spec.Name = l.target.ID
	if spec.Addr == "" {
		spec.Addr = l.target.Addr()
	}
	if l.cfg.LogDir != "" {
		if err := os.MkdirAll(l.cfg.LogDir, 0o700); err != nil {
			l.cfg.Log.Warn("the output is not kept", "id", spec.Name, "err", err)
		}
		spec.LogFile.Path = filepath.Join(l.cfg.LogDir, url.PathEscape(spec.Name)+".log")
	}
	return spec, nil
}

// onEvent passes the supervisor's news on, and acts on what changes the
// registration.
func (l *launching) onEvent(ctx context.Context, s supervisor.Event) {
	if s.Type == supervisor.Stopping && ctx.Err() != nil {
		return // said already, before the farewell
	}
	var e Event
	e.fill(s)
	e.ModelBytes = l.cfg.ModelBytes
	l.emit(e)
	switch s.Type {
	case supervisor.Ready:
		_ = l.berth.settle() // the lock files of taken ports: the system clears what stays
		l.announce(ctx)
	case supervisor.Unhealthy, supervisor.Healthy:
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.announced != nil {
			l.announced.healthy.Store(s.Type == supervisor.Healthy)
		}
	case supervisor.Exited:
		l.unannounce()
	}
}

// component is the life at hand as others are to know it.
func (l *launching) component(ctx context.Context) registry.Component {
	meta := map[string]any{"engine": l.cfg.Engine, "launcher_pid": os.Getpid()}
	if l.cfg.SpawnedBy != "" {
		meta["spawned_by"] = l.cfg.SpawnedBy
	}
	if l.cfg.Capabilities != nil {
		ctx, cancel := context.WithTimeout(ctx, capabilitiesLimit)
		defer cancel()
		if can, err := l.cfg.Capabilities(ctx, l.target.URL()); err != nil {
			l.cfg.Log.Debug("capabilities are unknown", "id", l.target.ID, "err", err)
		} else if len(can) > 0 {
			meta["capabilities"] = can
		}
	}
	maps.DeleteFunc(meta, func(_ string, v any) bool { return v == "" })
	model := l.cfg.Model
	if l.cfg.Serves != nil {
		model = l.cfg.Serves()
	}
	return registry.Component{
		Kind: registry.Worker, ID: l.target.ID, InstanceID: l.target.InstanceID,
		Hostname: l.cfg.Advertise, Port: l.target.Port,
		WorkerType: l.cfg.Type, Model: model, Metadata: meta,
	}
}

// announce registers the life that has become ready.
func (l *launching) announce(ctx context.Context) {
	if l.cfg.Private || (l.cfg.Registry == nil && l.cfg.Queen == nil) {
		return
	}
	life := l.component(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopping {
		l.announced = l.newAnnouncer(ctx, life)
	}
}

// unannounce starts the farewell of a life that has ended, and does not wait: the
// next one's start does not hang on a registry that is slow. Instance ids keep the
// late word of an old life from touching the new one.
func (l *launching) unannounce() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.announced != nil {
		l.announced.cancel()
		l.leaving = append(l.leaving, l.announced)
		l.announced = nil
	}
}

// sayFarewell unregisters before the child is stopped, so that nobody is sent to it
// any more. It waits no longer than the announcements' own limit.
func (l *launching) sayFarewell() {
	l.mu.Lock()
	l.stopping = true
	going := l.announced
	l.emitLocked(Event{Event: Stopping, PID: l.shown.PID})
	l.mu.Unlock()
	if going == nil {
		return
	}
	l.unannounce()
	gone := make(chan struct{})
	go func() { going.done.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-l.cfg.Hurry:
	}
}

// close waits for the last farewells and gives everything back.
func (l *launching) close() error {
	l.unannounce()
	l.mu.Lock()
	leaving := l.leaving
	l.mu.Unlock()
	for _, a := range leaving {
		a.done.Wait()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.record.close(), l.berth.release())
}

// onState notes what the announcing loops say.
func (l *launching) onState(with, instance string, s registry.State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if instance != l.shown.InstanceID {
		return // an old life's farewell
	}
	switch with {
	case withRegistry:
		l.shown.Registry = s.Registered
	case withQueen:
		l.shown.Queen = s.Registered
	}
	if s.Registered {
		l.emitLocked(Event{Event: Registered, With: with, PID: l.shown.PID})
	} else {
		l.show()
	}
}

func (l *launching) emit(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emitLocked(e)
}

// emitLocked completes an event, keeps what List shows in step with it, and tells.
func (l *launching) emitLocked(e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.ID = l.cfg.ID
	if l.target.Port != 0 {
		e.ID, e.InstanceID = l.target.ID, l.target.InstanceID
		e.Port, e.URL = l.target.Port, l.target.URL()
	}
	l.shown.follow(e)
	if e.Event != Progress {
		l.show()
	}
	if l.cfg.OnEvent != nil {
		l.cfg.OnEvent(e)
	}
}
