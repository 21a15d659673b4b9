package launch

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

const capabilitiesLimit = 500 * time.Millisecond

// launching is one Run. Its supervisor's goroutine owns berth, and alone writes
// target; what is below mu is shared with the announcers, the farewell and the control
// socket.
type launching struct {
	cfg       Config
	berth     berth
	hub       *hub
	ask       *asked
	entrusted *guard.Guard // that holds our locks

	// papers is held by whoever changes what leads others here: berth's lease, record, control
	// and what is entrusted to the guard. It is taken before mu.
	papers   sync.Mutex
	control  *control
	placed   bool // there is a life to be found
	failures int  // in a row, to put things right

	mu        sync.Mutex // orders events, too
	target    Target
	announced *announcer   // of the life that is ready; nil while none is
	leaving   []*announcer // of earlier ones, on their way out
	stopping  bool
	record    *record
	recorded  bool // the record was written once
	stale     bool // it could not be, last time
	shown     state
	spawning  supervisor.Spec // of the present life
	guard     *guard.Guard    // below which it is
	can       any             // the capabilities that were registered
}

// Run launches the child and keeps it until ctx ends or it has ended for good. Its
// errors are those of supervisor.Run, those of package ports when no port is to be
// had, *InUseError when the id is another launch's, *NotOrphanedError and
// *HandedOverError. A stop by ctx, or by a Remote, is none.
func Run(ctx context.Context, cfg Config) error {
	l := &launching{cfg: cfg.withDefaults(), hub: newHub(), ask: newAsked()}
	l.berth.cfg = l.cfg
	adoption, err := l.adopt(ctx)
	if err != nil {
		return err
	}
	ctx, answered := l.heed(ctx)
	// The supervisor ends not by ctx but by stop, after the farewells.
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	var mending sync.WaitGroup
	mending.Go(func() { l.mend(ctx, ended) })
	var farewell sync.WaitGroup
	farewell.Go(func() {
		defer stop()
		select {
		case <-ctx.Done():
			l.sayFarewell()
		case <-ended:
		}
	})
	err = supervisor.Run(inner, supervisor.Config{
		Spec:    l.spec,
		Restart: l.cfg.Restart,
		OnEvent: func(e supervisor.Event) { l.onEvent(ctx, e) },
		OnLine:  l.onLine,
		Ending:  ctx.Done(),
		Grace:   l.ask.within,
		Hurry:   l.ask.hurry,
		Signals: l.cfg.Signals,
		Guard:   l.cfg.Guard,
		Again:   l.ask.again,
		Leave:   l.ask.leave,
		Adopt:   adoption,
		Log:     l.cfg.Log,

		OnPulse: l.pulse(), PulseEvery: l.cfg.PulseEvery,
	})
	close(ended)
	farewell.Wait()
	mending.Wait()
	if errors.Is(err, supervisor.ErrLeft) {
		err = l.handOver()
	} else {
		err = errors.Join(err, l.close(err))
	}
	answered()
	return err
}

// heed makes a context that ends, too, when a stop is asked for, and passes the caller's
// hurry on.
func (l *launching) heed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	hurry := l.cfg.Hurry
	l.cfg.Hurry = l.ask.hurry
	var heeding sync.WaitGroup
	heeding.Go(func() {
		for {
			select {
			case <-l.ask.stopping:
				cancel()
				select {
				case <-hurry:
					l.ask.hurryUp()
				case <-over:
				}
				return
			case <-ctx.Done():
				l.ask.stop(StopOptions{}) // nothing else can be asked for any more
			case <-over:
				return
			}
		}
	})
	return ctx, func() { close(over); heeding.Wait(); cancel() }
}

func (l *launching) onLine(line supervisor.Line) {
	if l.cfg.OnLine != nil {
		l.cfg.OnLine(line)
	}
	if l.hub.listens() {
		stream := "stdout"
		if line.Stderr {
			stream = "stderr"
		}
		l.hub.say(Event{Time: line.Time, Event: Output, Stream: stream, Text: line.Text})
	}
}

// onEvent passes the supervisor's news on, and acts on what changes the
// registration.
func (l *launching) onEvent(ctx context.Context, s supervisor.Event) {
	if s.Type == supervisor.Stopping && ctx.Err() != nil {
		return // said already, before the farewell
	}
	var e Event
	e.fill(s)
	if e.Event == Progress {
		e.ModelBytes = l.cfg.ModelBytes
	}
	l.mu.Lock()
	l.shown.Life = s.Life
	if s.Type == supervisor.Spawned || s.Type == supervisor.Adopted {
		l.shown.Child = guard.Process{PID: s.PID, Start: s.Start}
	}
	l.emitLocked(e)
	l.mu.Unlock()
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
		l.unannounce(nil)
	}
}

// pulse passes the supervisor's pulse on, through the lock that events need; nil when
// nobody asked for it.
func (l *launching) pulse() func() {
	if l.cfg.OnPulse == nil {
		return nil
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.cfg.OnPulse()
	}
}

// component is the life at hand as others are to know it.
func (l *launching) component(ctx context.Context) registry.Component {
	meta := map[string]any{"engine": l.cfg.Engine, "launcher_pid": os.Getpid()}
	if l.cfg.SpawnedBy != "" {
		meta["spawned_by"] = l.cfg.SpawnedBy
	}
	if l.cfg.Alias != l.serves() {
		meta[registry.AliasKey] = l.cfg.Alias
	}
	if l.cfg.Capabilities != nil {
		ctx, cancel := context.WithTimeout(ctx, capabilitiesLimit)
		defer cancel()
		if can, err := l.cfg.Capabilities(ctx, l.target.URL()); err != nil {
			l.cfg.Log.Debug("capabilities are unknown", "id", l.target.ID, "err", err)
		} else if len(can) > 0 {
			meta["capabilities"] = can
			l.mu.Lock()
			l.can = can
			l.mu.Unlock()
		}
	}
	maps.DeleteFunc(meta, func(_ string, v any) bool { return v == "" })
	if l.cfg.Engine != "" {
		meta[registry.MetricsKey] = l.cfg.Metrics // "" says something
	}
	return registry.Component{
		Kind: registry.Worker, ID: l.target.ID, InstanceID: l.target.InstanceID,
		Hostname: l.cfg.Advertise, Port: l.target.Port,
		WorkerType: l.cfg.Type, Model: l.serves(), Metadata: meta,
	}
}

// serves is the model's name as the child serves it. One that was adopted was not loaded
// by this launcher, and goes by the name that it was registered under.
func (l *launching) serves() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown.Serves == "" {
		l.shown.Serves = l.cfg.Model
		if l.cfg.Serves != nil {
			l.shown.Serves = l.cfg.Serves()
		}
		l.show()
	}
	return l.shown.Serves
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
// late word of an old life from touching the new one. The cause registry.ErrHandedOver
// leaves the farewell out.
func (l *launching) unannounce(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.announced != nil {
		l.announced.cancel(cause)
		l.leaving = append(l.leaving, l.announced)
		l.announced = nil
	}
}

// sayFarewell unregisters before the child is stopped, so that nobody is sent to it
// any more.
func (l *launching) sayFarewell() {
	l.mu.Lock()
	l.stopping = true
	l.emitLocked(Event{Event: Stopping, PID: l.shown.PID})
	l.mu.Unlock()
	l.leaveRegistrars()
}

// leaveRegistrars unregisters the present life and waits for that, but no longer than
// the announcements' own limit.
func (l *launching) leaveRegistrars() {
	l.mu.Lock()
	going := l.announced
	l.mu.Unlock()
	if going == nil {
		return
	}
	l.unannounce(nil)
	gone := make(chan struct{})
	go func() { going.done.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-l.ask.hurry:
	}
}

// silence ends all announcing.
func (l *launching) silence(cause error) {
	l.unannounce(cause)
	l.mu.Lock()
	leaving := l.leaving
	l.mu.Unlock()
	for _, a := range leaving {
		a.done.Wait()
	}
}

// close waits for the last farewells and gives everything back, then tells those who
// listen at the control socket how the launch ended.
func (l *launching) close(result error) error {
	l.silence(nil)
	l.mu.Lock()
	err := errors.Join(l.record.close(), l.berth.release())
	l.mu.Unlock()
	if l.cfg.Guard != nil { // it goes on, and need not keep our files open
		_ = l.cfg.Guard.Release(l.entrustedAs(leaseName)) // a dead guard has closed them
		_ = l.cfg.Guard.Release(l.entrustedAs(recordName))
	}
	code := ExitCode(result)
	last := Event{Time: time.Now(), Event: Ended, ID: l.shown.ID, InstanceID: l.shown.InstanceID, ExitCode: &code}
	if result != nil {
		last.Error, last.LastLines = result.Error(), LastLines(result)
	}
	l.hub.close(last)
	l.control.close()
	return err
}

// handOver leaves everything as it is for the program that goes on.
func (l *launching) handOver() error {
	l.silence(registry.ErrHandedOver)
	err := &HandedOverError{ID: l.target.ID, Path: l.ask.successor()}
	var listening error
	if err.Control, listening = l.control.file(); listening != nil {
		l.cfg.Log.Warn("the next program listens anew", "err", listening)
	}
	l.hub.close()
	l.control.close()
	return err
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
	l.hub.say(e)
	if l.cfg.OnEvent != nil {
		l.cfg.OnEvent(e)
	}
}
