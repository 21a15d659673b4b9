package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// supervision is one Run.
type supervision struct {
	cfg   Config
	guard *guard.Guard
	gpus  gpus

	pulses <-chan time.Time // nil where nobody asked for OnPulse
}

// ErrLeft means that the child was left with its guard, as Config.Leave asked.
var ErrLeft = errors.New("the child was left to another process")

// errAgain is why a life ends that Config.Again ended.
var errAgain = errors.New("a restart was asked for")

// Run starts the child and keeps it until ctx ends or it is not to be started
// again. It returns nil after a stop by ctx and after exit code 0. Otherwise:
//
//   - *ExitError: the child ended, or ended before it was ever ready;
//   - *NotReadyError: its start stalled or took too long;
//   - *PortTakenError: as Config.Spec returned it, when that had no other port;
//   - *SurvivorError: something of it could not be killed;
//   - what Config.Spec returned, or the system's error for a program that can't be
//     started (exec.ErrNotFound, fs.ErrPermission, ...).
//
// Only a child that was ready once is started again by policy; a start that found
// its port taken is repeated at once with the Spec asked for anew.
func Run(ctx context.Context, cfg Config) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Restart = cfg.Restart.withDefaults()
	s := &supervision{cfg: cfg, guard: cfg.Guard}
	defer s.pulsing()()
	if cfg.Adopt != nil {
		s.guard = cfg.Adopt.Guard
	}
	err := s.run(ctx)
	if errors.Is(err, ErrLeft) {
		s.guard.Detach()
	} else {
		s.closeGuard()
	}
	return err
}

// needGuard starts a guard of our own if the caller gave none, and another one if
// it was killed.
func (s *supervision) needGuard() error {
	if s.cfg.Guard != nil || (s.guard != nil && s.guard.Err() == nil) {
		return nil
	}
	s.closeGuard()
	g, err := guard.Start()
	if err == nil {
		s.guard = g
	}
	return err
}

func (s *supervision) closeGuard() {
	if s.cfg.Guard == nil && s.guard != nil {
		if err := s.guard.Close(); err != nil {
			s.cfg.Log.Warn("the guard is left behind", "err", err)
		}
	}
}

func (s *supervision) run(ctx context.Context) error {
	var (
		failures  int
		everReady bool
		last      error
	)
	first := 1
	if s.cfg.Adopt != nil {
		first, everReady = max(1, s.cfg.Adopt.Life), s.cfg.Adopt.Ready
	}
	for n := first; ; n++ {
		out := s.attempt(ctx, n, last)
		var survivor *SurvivorError
		switch {
		case errors.As(out.err, &survivor):
			s.emit(Event{Type: Failed, Life: n, PID: out.pid, Err: out.err, Stop: out.stop})
			return out.err
		case errors.Is(out.err, ErrLeft):
			return out.err
		case ctx.Err() != nil:
			s.settle(context.WithoutCancel(ctx), n)
			s.emit(out.stopped(n))
			return nil
		case out.again && !s.ending():
			s.emit(Event{Type: Exited, Life: n, PID: out.pid, Exit: &out.exit, Stop: out.stop})
			s.emit(Event{Type: Restarting, Life: n, PID: out.pid})
			failures, last = 0, nil
			continue
		case isPortTaken(out.err) && out.pid != 0:
			last = out.err
			n-- // the port's fault, not the child's
			continue
		case out.err != nil && (!everReady || out.pid == 0):
			s.emit(Event{Type: Failed, Life: n, PID: out.pid, Err: out.err, Stop: out.stop})
			return out.err
		}
		exit := out.exit
		s.emit(Event{Type: Exited, Life: n, PID: out.pid, Exit: &exit, Err: out.err, Stop: out.stop})
		everReady = true
		switch {
		case s.ending():
			s.emit(Event{Type: Stopped, Life: n, PID: out.pid})
			return nil
		case !s.cfg.Restart.wants(out.err != nil || exit.Code != 0):
			return out.verdict()
		}
		failures = s.cfg.Restart.record(failures, out.ready)
		wait := s.cfg.Restart.delay(failures, chance())
		s.emit(Event{Type: Restarting, Life: n, PID: out.pid, Wait: wait})
		if !s.pause(ctx, wait, s.cfg.Again) {
			s.emit(Event{Type: Stopped, Life: n, PID: out.pid})
			return nil
		}
		last = out.err
	}
}

// ending reports whether a stop is under way that ctx does not tell of yet.
func (s *supervision) ending() bool {
	select {
	case <-s.cfg.Ending:
		return true
	default:
		return false
	}
}

// attempt is one life, the asking for its Spec included; an outcome without a pid
// never had a process.
func (s *supervision) attempt(ctx context.Context, n int, last error) outcome {
	if err := s.needGuard(); err != nil {
		return outcome{err: err}
	}
	s.settle(ctx, n)
	select {
	case <-s.cfg.Again: // asked for while the last life ended: this start is what was asked for
	default:
	}
	adopted := s.cfg.Adopt
	s.cfg.Adopt = nil // later lives are our own
	spec, err := s.cfg.Spec(ctx, Attempt{Life: n, Last: last, Adopted: adopted != nil, Guard: s.guard})
	if err != nil {
		return outcome{err: err}
	}
	l, err := s.newLife(n, spec.WithDefaults())
	switch {
	case err != nil:
	case adopted != nil:
		s.gpus = gpus{devices: devices(spec)} // what was in use before is forgotten
		err = l.adopt(ctx, adopted)
	default:
		s.measure(ctx, spec)
		err = l.begin(ctx)
	}
	if err != nil {
		return outcome{err: err}
	}
	return l.live(ctx)
}

// untilAsked makes a context that ends, with its cause, when the life at hand is to: a
// restart is asked for, or the child is to be left.
func (s *supervision) untilAsked(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	var listening sync.WaitGroup
	listening.Go(func() {
		select {
		case <-s.cfg.Again:
			cancel(errAgain)
		case <-s.cfg.Leave:
			cancel(ErrLeft)
		case <-ctx.Done():
		}
	})
	return ctx, func() { cancel(nil); listening.Wait() }
}

// stopped tells of the stop that ended a life, or kept it from beginning.
func (o outcome) stopped(n int) Event {
	e := Event{Type: Stopped, Life: n, PID: o.pid, Stop: o.stop}
	if o.pid != 0 {
		e.Exit = &o.exit
	}
	return e
}

// verdict is Run's own answer after the child's last life.
func (o outcome) verdict() error {
	if o.err != nil || o.exit.Code == 0 {
		return o.err
	}
	return &ExitError{Name: o.name, Exit: o.exit, Last: o.last, Early: o.ready == 0}
}

func (s *supervision) emit(e Event) {
	e.Time = time.Now()
	if s.cfg.OnEvent != nil {
		s.cfg.OnEvent(e)
	}
}

func isPortTaken(err error) bool {
	var taken *PortTakenError
	return errors.As(err, &taken)
}
