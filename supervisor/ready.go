package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	firstPoll = 5 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
	firstGap  = time.Millisecond       // between a probe and one that output hastens
	lookEvery = 500 * time.Millisecond // at a starting child's vitals
)

// errEnded is the reason why a start is given up when the child ends.
var errEnded = errors.New("the child ended")

// errNotYet is what a probe has said before it has said anything.
var errNotYet = errors.New("not yet")

// awaitReady passes all readiness probes, or returns why that is not to be: the
// child ended, it stalled, a probe said so, its address is another's, ctx ended.
func (l *life) awaitReady(ctx context.Context) error {
	if len(l.spec.Ready) == 0 {
		return nil // it runs, and nothing more is asked, even if it ends at once
	}
	group, ctx := errgroup.WithContext(ctx)
	waiting := make(chan waitingFor, 1)
	ready := make(chan struct{})
	group.Go(func() error {
		defer close(ready)
		for _, p := range l.spec.Ready {
			if err := l.pass(ctx, p.withDefaults(), waiting); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		select {
		case <-l.child.Exited():
			return errEnded
		case <-ready:
		case <-ctx.Done():
		}
		return nil
	})
	// The vitals are looked at from this goroutine, which is the one that emits.
	stalled := l.look(ctx, ready, waiting)
	group.Go(func() error { return stalled })
	err := group.Wait()
	if err == nil {
		select {
		case <-l.child.Exited(): // it may have ended right after its answer
			return errEnded
		default:
		}
	}
	return err
}

// waitingFor is what the probe at hand said last.
type waitingFor struct {
	probe   string
	err     error
	loading bool
}

// pass asks a probe until it passes, quickly at first, and at once when the child
// prints something: servers like to say that they listen. Those that log each probe
// are not to be asked in a flood for that. So output hastens a probe only after a gap
// that doubles each time there was some, until it is as long as the usual wait, and
// that is short again after a wait in silence.
func (l *life) pass(ctx context.Context, p Probe, waiting chan waitingFor) error {
	replace(waiting, waitingFor{probe: p.Name, err: errNotYet}) // its first answer may be long in coming
	gap := firstGap
	for wait := firstPoll; ; wait = min(wait*5/4, lastPoll) {
		l.out.probing()
		err := l.ask(ctx, p)
		l.out.probed()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case isFatal(err):
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		replace(waiting, waitingFor{probe: p.Name, err: err, loading: isLoading(err)})
		gap = min(gap, wait)
		if !pause(ctx, gap, nil) {
			return ctx.Err()
		}
		spoke, going := l.listen(ctx, wait-gap)
		switch {
		case !going:
			return ctx.Err()
		case spoke && !p.unnoticed:
			gap *= 2
		default:
			gap = firstGap
		}
	}
}

// listen waits for so long, or until the child prints something or has done so since
// the last time.
func (l *life) listen(ctx context.Context, d time.Duration) (spoke, going bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.out.more: // looked at first: without a wait, both are there
		return true, ctx.Err() == nil
	default:
	}
	select {
	case <-l.out.more:
		return true, ctx.Err() == nil
	case <-t.C:
		return false, ctx.Err() == nil
	case <-ctx.Done():
		return false, false
	}
}

// replace puts w in the place of what nobody has looked at yet.
func replace(waiting chan waitingFor, w waitingFor) {
	select {
	case <-waiting:
	default:
	}
	waiting <- w
}

// look watches a starting child for signs of life until it is ready.
func (l *life) look(ctx context.Context, ready <-chan struct{}, waiting <-chan waitingFor) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var (
		seen     Vitals
		before   Usage
		signs    int
		lastSign = l.began
		lastLook = l.began
	)
	for {
		select {
		case <-ready:
			return nil
		case <-ctx.Done():
			return nil
		case <-l.s.pulses:
			l.s.cfg.OnPulse()
			continue
		case <-tick.C:
		}
		now := time.Now()
		usage := UsageOf(ctx, l.child.Pids())
		sign := alive(before, usage, now.Sub(lastLook)) || l.out.lifeSigns() > signs
		spoke, status := l.says.look(now)
		sign, seen.Status = sign || spoke, status
		before, signs, lastLook = usage, l.out.lifeSigns(), now
		select {
		case w := <-waiting:
			sign = sign || w.loading
			seen.Waiting, seen.Answered = fmt.Sprintf("%s: %v", w.probe, w.err), telling(w.err)
		default:
		}
		if sign {
			lastSign = now
		}
		seen.Elapsed, seen.RSS, seen.CPU, seen.IO = now.Sub(l.began), usage.RSS, usage.CPU, usage.IO
		seen.LastLine = strings.Join(l.out.last(1), "")
		l.emit(Event{Type: Progress, Seen: seen})
		if err := l.tooLong(now, lastSign, seen); err != nil {
			return err
		}
	}
}

func (l *life) tooLong(now, lastSign time.Time, seen Vitals) error {
	late := &NotReadyError{Name: l.spec.Name, Seen: seen}
	switch {
	case l.spec.Stall > 0 && now.Sub(lastSign) >= l.spec.Stall:
		late.Stalled, late.After = true, now.Sub(lastSign)
	case l.spec.StartLimit > 0 && now.Sub(l.began) >= l.spec.StartLimit:
		late.After = now.Sub(l.began)
	default:
		return nil
	}
	late.After = late.After.Round(100 * time.Millisecond)
	late.Last = l.out.last(tailLines)
	return late
}

// explain turns the end of a start into the error that says why, now that all
// output is there.
func (l *life) explain(ctx context.Context, err error) error {
	if !errors.Is(err, errEnded) {
		return err
	}
	last := l.out.last(tailLines)
	if l.spec.Addr != "" {
		for _, line := range last {
			if l.spec.InUse.MatchString(line) {
				return &PortTakenError{
					Name: l.spec.Name, Addr: l.spec.Addr, Said: line,
					Holder: holderOf(ctx, l.at, nil),
				}
			}
		}
		if who := holderOf(ctx, l.at, nil); who != "" {
			return &PortTakenError{Name: l.spec.Name, Addr: l.spec.Addr, Holder: who}
		}
	}
	return &ExitError{Name: l.spec.Name, Exit: l.child.Exit(), Early: true, Last: last}
}
