package launch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// beyondGrace is what a stop may take besides the grace period: the farewell to
// registry and queen, SIGKILL to a tree, the wait for a GPU.
const beyondGrace = 30 * time.Second

// betweenHands is how long nobody may be found who takes commands for a launch that
// somebody has.
const betweenHands = answerLimit

// HeldError means that a launch could not be stopped: a program has it that takes no
// commands, and that its record does not know of, so that it is not killed either.
type HeldError struct {
	ID  string
	PID int // of that program
	Err error
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("stop %s: pid %d has it and takes no commands: end that one (kill %d), then stop it again: %v", e.ID, e.PID, e.PID, e.Err)
}

func (e *HeldError) Unwrap() error { return e.Err }

// Stop ends the launch with this id, whoever has it, and returns when nothing is left:
// its launcher is asked; an orphan is taken over and stopped; and a launcher that does
// not answer is killed, so that its guard ends the child, or leaves it to be stopped
// here. It tells tell, which may be nil, each event of the way. The events' last one says
// how the launch ended; Stop fails when it did not end, with a *HeldError when it can't say
// so to whoever has the launch. It takes the grace period and a minute and a half at most.
func Stop(ctx context.Context, runtimeDir, id string, o StopOptions, tell func(Event)) error {
	s, _ := readState(recordBase(runtimeDir, id)) // no grace for one that is gone
	limit := time.Duration(s.GraceMS)*time.Millisecond + answerLimit + 2*beyondGrace + betweenHands
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it is still there after %s", inWords(limit)))
	defer cancel()
	var since time.Time // when nobody could be asked, again and again
	for {
		err := stop(ctx, runtimeDir, id, o, tell)
		pid := holder(err)
		switch {
		case !changedHands(err) || ctx.Err() != nil:
			return err
		case pid == 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > betweenHands:
			return &HeldError{ID: id, PID: pid, Err: err}
		}
		pause(ctx)
	}
}

// holder is the process that has what another was asked for; 0 when that is not known.
func holder(err error) int {
	var adopted *NotOrphanedError
	var busy *guard.BusyError
	switch {
	case errors.As(err, &busy):
		return busy.PID
	case errors.As(err, &adopted):
		return adopted.Launcher
	default:
		return 0
	}
}

// changedHands reports whether what failed was addressed to one who had the launch until
// then: another has it now, and may not know of it.
func changedHands(err error) bool {
	var adopted *NotOrphanedError
	return errors.Is(err, ErrReplaced) || errors.Is(err, guard.ErrBusy) || (errors.As(err, &adopted) && adopted.Launcher != 0)
}

func stop(ctx context.Context, runtimeDir, id string, o StopOptions, tell func(Event)) error {
	base := recordBase(runtimeDir, id)
	s, unknown := readState(base)
	look(base, &s)
	err := askToStop(ctx, runtimeDir, id, o, tell)
	var hung *HungError
	switch {
	case errors.As(err, &hung) && s.Launcher == guard.Self():
		return fmt.Errorf("stop %s: it is a launch of this process, which hangs", id)
	case errors.As(err, &hung):
		s.Launcher.Kill()
		err = o.awaitGuard(ctx, base, s)
	case errors.Is(err, ErrNotThere) && unknown == nil: // it was, a moment ago
		err = o.awaitGuard(ctx, base, s)
	}
	var orphaned *OrphanedError
	if errors.As(err, &orphaned) {
		err = StopOrphan(ctx, runtimeDir, id, o)
		if err != nil && !changedHands(err) && hasEnded(ctx, base) {
			err = nil // by itself, as it was to be taken over
		}
	}
	return err
}

// hasEnded reports whether an orphan that could not be taken over has ended: its guard,
// which goes with the child, may still be removing what there was.
func hasEnded(ctx context.Context, base string) bool {
	for patience := time.Now().Add(answerLimit); ; pause(ctx) {
		s, err := readState(base)
		if err != nil {
			return true
		}
		switch f := look(base, &s); {
		case s.standing(f) == dead:
			return !s.Child.Alive() // else it is for Clear
		case f.launcher, ctx.Err() != nil, time.Now().After(patience):
			return false
		}
	}
}

func askToStop(ctx context.Context, runtimeDir, id string, o StopOptions, tell func(Event)) error {
	r, err := Open(runtimeDir, id)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Stop(ctx, o); err != nil {
		return err
	}
	s, _ := readState(r.base) // it may have ended already
	look(r.base, &s)
	limit := time.Duration(s.GraceMS)*time.Millisecond + beyondGrace
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer hurryUp(ctx, r, o)()
	for e, err := range r.Events(ctx, false) {
		switch {
		case err != nil:
			return err
		case tell != nil:
			tell(e)
		}
		if e.Event == Ended {
			return nil
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &HungError{ID: id, PID: s.SupervisorPID, Err: fmt.Errorf("it is still there after %s", limit)}
	}
	return context.Cause(ctx)
}

// hurryUp has the launch end at once when o.Hurry is closed. The caller calls what it
// returns.
func hurryUp(ctx context.Context, r *Remote, o StopOptions) (done func()) {
	over := make(chan struct{})
	var heeding sync.WaitGroup
	heeding.Go(func() {
		none := time.Duration(0)
		select {
		case <-o.Hurry:
			_ = r.Stop(ctx, StopOptions{Grace: &none}) // the stop itself says how it goes
		case <-over:
		}
	})
	return func() { close(over); heeding.Wait() }
}

// awaitGuard waits for the guard, and unregisters what that has taken down.
func (o StopOptions) awaitGuard(ctx context.Context, base string, s state) error {
	err := awaitGuard(ctx, base)
	if err == nil {
		o.unregister(ctx, s)
	}
	return err
}

// awaitGuard waits until the guard of a launch whose launcher is dead has taken everything
// down, and kills it when it does not; it fails with an *OrphanedError when all is to be
// kept.
func awaitGuard(ctx context.Context, base string) error {
	patience := time.NewTimer(beyondGrace)
	defer patience.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := readState(base)
		if err != nil {
			return nil // gone
		}
		switch s.standing(look(base, &s)) {
		case dead:
			return nil
		case orphaned:
			return &OrphanedError{ID: s.ID, PID: s.Child.PID, Launcher: s.Launcher.PID}
		case ending:
			s.Guard.Wake() // should it have been stopped
		case alive:
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return killGuard(base)
		case <-ctx.Done():
			return fmt.Errorf("stop %s: %w", s.ID, context.Cause(ctx))
		}
	}
}

// killGuard ends a launch whose launcher is dead and whose guard hangs: the kernel kills
// the guard's children with it, and what those leave is cleared away like that of any
// dead launch.
func killGuard(base string) error {
	s, err := readState(base)
	if err != nil {
		return nil // gone
	}
	s.Guard.Kill()
	for patience := time.Now().Add(answerLimit); s.Guard.Alive(); time.Sleep(looking / 20) {
		if time.Now().After(patience) {
			return fmt.Errorf("stop %s: its guard, pid %d, hangs, and SIGKILL has not ended it within %s", s.ID, s.Guard.PID, answerLimit)
		}
	}
	if _, err := clearDead(base); err != nil {
		return fmt.Errorf("stop %s: clear what its guard left: %w", s.ID, err)
	}
	return nil
}
