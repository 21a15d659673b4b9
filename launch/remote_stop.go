package launch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// beyondGrace is what a stop may take besides the grace period: the farewell to
// registry and queen, SIGKILL to a tree, the wait for a GPU.
const beyondGrace = 30 * time.Second

// Stop ends the launch with this id, whoever has it, and returns when nothing is left:
// its launcher is asked; an orphan is taken over and stopped; and a launcher that does
// not answer is killed, so that its guard ends the child, or leaves it to be stopped
// here. It tells tell, which may be nil, each event of the way. The events' last one says
// how the launch ended; Stop fails when it did not end.
func Stop(ctx context.Context, runtimeDir, id string, o StopOptions, tell func(Event)) error {
	for {
		err := stop(ctx, runtimeDir, id, o, tell)
		if !changedHands(err) || ctx.Err() != nil {
			return err
		}
		pause(ctx)
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
	err := askToStop(ctx, runtimeDir, id, o, tell)
	var hung *HungError
	switch {
	case errors.As(err, &hung) && s.Launcher == guard.Self():
		return fmt.Errorf("stop %s: it is a launch of this process, which hangs", id)
	case errors.As(err, &hung):
		s.Launcher.Kill()
		err = awaitGuard(ctx, base)
	case errors.Is(err, ErrNotThere) && unknown == nil: // it was, a moment ago
		err = awaitGuard(ctx, base)
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
		switch f := look(base, s); {
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
	limit := time.Duration(s.GraceMS)*time.Millisecond + beyondGrace
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
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
		switch s.standing(look(base, s)) {
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
