package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

const tailLines = 20 // of output, in errors

// life is one child process from its start to the end of its tree.
type life struct {
	s     *supervision
	n     int
	spec  Spec
	at    netip.AddrPort // spec.Addr
	child *guard.Child
	out   *output
	says  *notices

	began    time.Time
	readyAt  time.Time // zero until then
	wasReady bool      // before this process had it
}

// outcome is how a life ended.
type outcome struct {
	err   error         // why it was never ready, or a SurvivorError
	exit  guard.Exit    // how the child ended
	stop  *Stop         // what ending the rest of it took; nil for nothing
	ready time.Duration // for how long it had been ready; 0 when never
	last  []string
	pid   int
	name  string
	again bool // it was ended to be started again
}

// newLife is a life that has no process yet.
func (s *supervision) newLife(n int, spec Spec) (*life, error) {
	l := &life{s: s, n: n, spec: spec, out: newOutput(s.cfg.OnLine)}
	if spec.Addr != "" {
		host, portText, err := net.SplitHostPort(spec.Addr)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", spec.Name, err)
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("start %s: the port of %q is no number", spec.Name, spec.Addr)
		}
		ip, _ := netip.ParseAddr(host) // for a name, all addresses count
		l.at = netip.AddrPortFrom(ip, uint16(port))
	}
	return l, nil
}

// begin starts the process. Its error is final: what can't be started now can't be
// a moment later.
func (l *life) begin(ctx context.Context) error {
	spec := l.spec
	if spec.Path == "" {
		return fmt.Errorf("start %s: no program is given", spec.Name)
	}
	path, err := exec.LookPath(spec.Path)
	if err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	if l.says, err = openNotices(spec.Ready, l.s.cfg.Log); err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	l.began = time.Now()
	output := l.output()
	l.child, err = l.s.guard.Spawn(ctx, guard.Command{
		Path: path, Args: spec.Argv, Env: l.says.env(spec.Env), Dir: spec.Dir, Output: &output,
		Stop: spec.StopSignal, Grace: max(0, spec.Grace), Keep: spec.Keep,
	})
	if err != nil {
		l.says.close()
		return err
	}
	l.emit(Event{Type: Spawned})
	return nil
}

func (l *life) output() guard.Output {
	return guard.Output{Log: l.spec.LogFile, OnLine: l.out.take, OnTrouble: func(err error) {
		l.s.cfg.Log.Warn("output is not being kept", "err", err)
	}}
}

// adopt makes this the life of a process that runs.
func (l *life) adopt(ctx context.Context, a *Adoption) error {
	l.child, l.began, l.wasReady = a.Child, a.Began, a.Ready
	tail, err := a.Child.Follow(ctx, l.output())
	if err != nil {
		return err
	}
	for _, line := range tail {
		l.out.keep(line)
	}
	if l.says, err = openNotices(l.spec.Ready, l.s.cfg.Log); err != nil {
		l.s.cfg.Log.Warn("what the adopted child says at its "+notifyVar+" is not heard", "err", err)
	}
	l.emit(Event{Type: Adopted})
	return nil
}

// live sees the process through and returns when its tree is gone.
func (l *life) live(ctx context.Context) outcome {
	stopPassing := l.passOn(ctx)
	defer stopPassing()
	ctx, cancel := l.s.untilAsked(ctx)
	defer cancel()
	l.says.start(l.tree)
	defer l.says.close()
	var err error
	if !l.wasReady {
		err = l.awaitReady(ctx)
	}
	if err == nil {
		l.readyAt = time.Now()
		l.emit(Event{Type: Ready})
		l.watch(ctx)
	}
	var ready time.Duration
	if !l.readyAt.IsZero() {
		ready = max(1, time.Since(l.readyAt))
	}
	asked := context.Cause(ctx)
	if errors.Is(asked, errAgain) || errors.Is(asked, ErrLeft) {
		err = nil // that is why a start was broken off
	}
	if errors.Is(asked, ErrLeft) && !l.s.ending() && l.child.Leave() == nil {
		return outcome{err: ErrLeft, pid: l.child.PID()}
	}
	if ctx.Err() != nil {
		l.emit(Event{Type: Stopping})
	}
	var stop *Stop
	gone := l.s.meanwhile(func() (err error) {
		stop, err = l.end()
		return err
	})
	if err != nil && ctx.Err() == nil {
		err = l.explain(ctx, err)
	}
	return outcome{
		err: errors.Join(err, gone), exit: l.child.Exit(), stop: stop, ready: ready,
		last: l.out.last(tailLines), pid: l.child.PID(), name: l.spec.Name,
		again: errors.Is(asked, errAgain),
	}
}

// watch asks the liveness probe until the child ends or ctx does.
func (l *life) watch(ctx context.Context) {
	probe := l.spec.Live.withDefaults()
	ctx, cancel := l.whileItRuns(ctx)
	defer cancel()
	if probe.Check == nil || probe.Period < 0 {
		_ = l.s.meanwhile(func() error { <-ctx.Done(); return nil })
		return
	}
	failures := 0
	for l.s.pause(ctx, probe.Period, nil) {
		err := l.s.meanwhile(func() error { return l.ask(ctx, probe) })
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures == probe.Failures {
				l.emit(Event{Type: Unhealthy, Err: fmt.Errorf("%s: %w", probe.Name, err)})
			}
		default:
			if failures >= probe.Failures {
				l.emit(Event{Type: Healthy})
			}
			failures = 0
		}
	}
}

// whileItRuns makes a context that ends with the child, too.
func (l *life) whileItRuns(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-l.child.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// ask puts a probe's question and counts the answer only if nobody but the child's
// tree listens on its address.
func (l *life) ask(ctx context.Context, p Probe) error {
	err := p.ask(ctx, Child{PID: l.child.PID(), Logged: l.out.logged, guard: l.s.guard, notices: l.says})
	if err != nil || l.spec.Addr == "" || l.spec.AnyOwner {
		return err
	}
	tree := l.tree()
	switch owner(ctx, l.at, tree) {
	case foreign:
		return Fatal(&PortTakenError{Name: l.spec.Name, Addr: l.spec.Addr, Holder: holderOf(ctx, l.at, tree)})
	case unowned:
		return fmt.Errorf("it passes, but nothing is seen to listen on %s", l.spec.Addr)
	default:
		return nil
	}
}

func (l *life) tree() map[int]bool {
	tree := map[int]bool{}
	for _, pid := range l.child.Pids() {
		tree[pid] = true
	}
	return tree
}

// end stops the child if it still runs, and empties its tree.
func (l *life) end() (*Stop, error) {
	way := Ladder{
		Signal: l.spec.StopSignal, Second: l.spec.SecondSignal, Grace: l.spec.Grace, Hurry: l.s.cfg.Hurry,
	}
	if l.s.cfg.Grace != nil {
		way.Grace = l.s.cfg.Grace(way.Grace)
	}
	return way.Down(l.child, l.spec.Name)
}

func (l *life) emit(e Event) {
	e.Life, e.PID, e.Start = l.n, l.child.PID(), l.child.Start()
	l.s.emit(e)
}

// pause waits, or until a signal on early; it reports whether ctx still runs.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
