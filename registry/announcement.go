package registry

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Registrar is a place where a component makes itself known: the registry
// (Client), or the queen.
type Registrar interface {
	// Register says how often the registrar wants to hear from c; 0 is no wish.
	Register(ctx context.Context, c Component) (beat time.Duration, err error)
	// Heartbeat fails with ErrUnknown when c has to register again, and with
	// ErrSuperseded while another instance has its place.
	Heartbeat(ctx context.Context, c Component) error
	Unregister(ctx context.Context, c Component) error
}

// ErrHandedOver, as the cause of the end of Announcement.Run's context, makes it end
// without a farewell: another process goes on announcing the same instance.
var ErrHandedOver = errors.New("handed over to another process")

// State is what is known of a component's registration.
type State struct {
	Registered bool  // the last exchange with the registrar said so
	Err        error // why the last attempt failed; nil when it did not
}

// Announcement keeps one component known to one Registrar for as long as it
// lives and is healthy. A registrar that is away, at the start or later, is a
// reason to go on trying, never to fail.
type Announcement struct {
	To        Registrar
	Component Component     // its InstanceID a ULID: of two that have one id the later is known
	Interval  time.Duration // between heartbeats; 15 s when zero; never longer than Register asked for
	// BeatAtOnce sends the first heartbeat right after a registration: for the queen,
	// to whom a worker is online from its first heartbeat on.
	BeatAtOnce bool
	Healthy    func() bool     // asked before each registration and heartbeat, and must be quick; nil is always
	OnState    func(State)     // called from Run's goroutine when the state changes; may be nil
	Farewell   time.Duration   // how long unregistering may take at the end; 2 s when zero
	Hurry      <-chan struct{} // when closed, no time at all; may be nil
	Log        *slog.Logger    // silent when nil
}

const (
	firstRetry   = 50 * time.Millisecond
	longestRetry = 5 * time.Second
	// healthCheck is how soon a recovery is noticed. Asking costs a function call.
	healthCheck = 250 * time.Millisecond
)

// Run announces the component until ctx ends, then unregisters it, unless ctx's cause
// is ErrHandedOver. While a later instance is the component (ErrSuperseded) it waits in the
// background: should that one go, this one still lives, and is to be found again.
func (a *Announcement) Run(ctx context.Context) {
	s := session{Announcement: a, log: a.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("id", a.Component.ID)
	s.interval = a.Interval
	if s.interval <= 0 {
		s.interval = HeartbeatInterval
	}
	for s.untilHealthy(ctx) {
		if !sleep(ctx, s.exchange(ctx)) {
			break
		}
	}
	if !errors.Is(context.Cause(ctx), ErrHandedOver) {
		s.farewell(ctx)
	}
}

// session is the progress of one Run.
type session struct {
	*Announcement
	log      *slog.Logger
	interval time.Duration
	state    State
	known    bool // heartbeats may do: no one has said ErrUnknown since the last registration
	sent     bool // a registration may have arrived, so one has to be taken back
	arrived  bool // one has
	failures int  // in a row
}

// untilHealthy is false when ctx ended first.
func (s *session) untilHealthy(ctx context.Context) bool {
	for s.Healthy != nil && !s.Healthy() {
		if !sleep(ctx, healthCheck) {
			return false
		}
	}
	return ctx.Err() == nil
}

// exchange registers or heartbeats, and says how long to wait then.
func (s *session) exchange(ctx context.Context) (pause time.Duration) {
	registering := !s.known
	var err error
	if registering {
		err = s.register(ctx)
	} else {
		err = s.To.Heartbeat(ctx, s.Component)
	}
	switch {
	case ctx.Err() != nil:
		return 0 // whatever came of it, the farewell is next
	case err == nil:
		s.succeeded()
		if registering && s.BeatAtOnce {
			return 0
		}
		return beatPause(s.interval, rand.Float64())
	case errors.Is(err, ErrSuperseded):
		s.superseded(err)
		return beatPause(s.interval, rand.Float64())
	case s.known && errors.Is(err, ErrUnknown):
		s.log.Info("forgotten by the registrar: registering again", "err", err)
		s.known = false
		s.enter(State{Err: err})
		return 0
	}
	s.failed(err)
	return retryPause(s.failures, s.interval, rand.Float64())
}

func (s *session) register(ctx context.Context) error {
	beat, err := s.To.Register(ctx, s.Component)
	// A request that was given up, or whose answer was lost, may have been heard.
	s.sent = s.sent || !(errors.Is(err, ErrConflict) || errors.Is(err, ErrSuperseded))
	if err == nil {
		s.known, s.arrived = true, true
		if beat > 0 {
			s.interval = min(s.interval, beat)
		}
	}
	return err
}

func (s *session) succeeded() {
	if !s.state.Registered {
		s.log.Info("registered", "failures", s.failures)
	}
	s.failures = 0
	s.enter(State{Registered: true})
}

func (s *session) failed(err error) {
	s.failures++
	if s.failures == 1 || s.failures == 10 || s.failures%100 == 0 {
		say := s.log.Warn
		if errors.Is(err, ErrUnreachable) && !errors.Is(err, ErrUntrusted) {
			say = s.log.Info // one that is away, or not there yet, is nothing out of the ordinary
		}
		say("not registered: going on trying", "failures", s.failures, "err", err)
	}
	s.enter(State{Err: err})
}

func (s *session) superseded(err error) {
	if !errors.Is(s.state.Err, ErrSuperseded) {
		s.log.Warn("another instance has this id: not registered while it lives", "err", err)
	}
	s.known = false
	s.failures = 0
	s.enter(State{Err: err})
}

func (s *session) enter(next State) {
	changed := next.Registered != s.state.Registered || class(next.Err) != class(s.state.Err)
	s.state = next
	if changed && s.OnState != nil {
		s.OnState(next)
	}
}

// class is what makes two errors the same state: their texts may differ from one
// attempt to the next.
func class(err error) error {
	for _, known := range []error{ErrUnknown, ErrSuperseded, ErrConflict, ErrUnreachable} {
		if errors.Is(err, known) {
			return known
		}
	}
	if err != nil {
		return errOther
	}
	return nil
}

var errOther = errors.New("other")

// farewell unregisters once: a registrar that does not hear it will notice the
// silence.
func (s *session) farewell(ctx context.Context) {
	if !s.sent {
		return
	}
	limit := s.Farewell
	if limit <= 0 {
		limit = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	said := make(chan struct{})
	var hurry sync.WaitGroup
	hurry.Go(func() {
		select {
		case <-s.Hurry:
			cancel()
		case <-said:
		}
	})
	err := s.To.Unregister(ctx, s.Component)
	close(said)
	hurry.Wait()
	cancel()
	switch {
	case err == nil, errors.Is(err, ErrUnknown), errors.Is(err, ErrSuperseded):
		s.enter(State{})
	default:
		say := s.log.Warn
		if !s.arrived {
			say = s.log.Debug // one that was never there lists nobody
		}
		say("not unregistered: the registrar will notice the silence", "err", err)
		s.enter(State{Err: err})
	}
}

// beatPause is the time to the next heartbeat: a little less than the interval,
// by chance (0 to 1), so that components that started together drift apart.
func beatPause(interval time.Duration, chance float64) time.Duration {
	return interval - time.Duration(chance*float64(interval)/4)
}

// retryPause is the time to the next attempt after so many failures in a row:
// exponential with full jitter, and never longer than a heartbeat's interval, so
// that a registrar which comes back has everyone back within one.
func retryPause(failures int, interval time.Duration, chance float64) time.Duration {
	longest := min(longestRetry, interval)
	// Doubling 7 times from 50 ms passes 5 s; more would overflow in the end.
	pause := min(longest, firstRetry<<min(failures-1, 7))
	return time.Duration(chance * float64(pause))
}

// sleep is false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
