package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
	"github.com/rbee-launch/rbee-launch/internal/unixsock"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// OnOrphan says what becomes of a child whose launcher dies.
type OnOrphan string

// The policies. The zero value is KillOrphan.
const (
	KillOrphan OnOrphan = "kill" // it ends with its launcher, whatever ends that
	KeepOrphan OnOrphan = "keep" // it runs on, for another to adopt
)

// HandedOverError is how Run ends when another program is to go on in this process:
// exec(2) it, with a Config that says Adopt.
type HandedOverError struct {
	ID      string   // of the launch
	Path    string   // of that program, as Remote.Upgrade gave it
	Control *os.File // the launch's socket, for Config.Control
}

func (e *HandedOverError) Error() string { return "the launch is to go on as " + e.Path }

// NotOrphanedError means that there is nothing to adopt under an id.
type NotOrphanedError struct {
	ID       string
	Reason   string
	Launcher int // the pid of the launcher that has it; 0 for none
}

func (e *NotOrphanedError) Error() string { return fmt.Sprintf("adopt %s: %s", e.ID, e.Reason) }

// What a launch entrusts to its guard.
const (
	leaseName  = "lease"
	recordName = "record"
)

// estate is what a launch has that is to be taken over.
type estate struct {
	state  state
	guard  *guard.Guard
	child  *guard.Child
	record *record
	lease  *os.File
}

// takeOver makes this process the launcher of a child that was kept, or left.
func takeOver(ctx context.Context, runtimeDir, id string) (*estate, error) {
	base := recordBase(runtimeDir, id)
	s, err := readState(base)
	if err != nil {
		return nil, &NotOrphanedError{ID: id, Reason: "nothing is known of it: " + err.Error()}
	}
	switch f := look(base, &s); s.standing(f) {
	case dead:
		return nil, &NotOrphanedError{ID: id, Reason: s.obituary(f)}
	case alive:
		if s.Launcher != guard.Self() {
			return nil, &NotOrphanedError{ID: id, Reason: fmt.Sprintf("its launcher, pid %d, lives", s.SupervisorPID), Launcher: s.SupervisorPID}
		}
	case ending, orphaned:
	}
	s.Guard.Wake() // one that was stopped would not answer
	g, legacy, err := knock(ctx, base+doorExt)
	if err != nil {
		return nil, fmt.Errorf("adopt %s: %w", id, err)
	}
	e := &estate{state: s, guard: g, lease: legacy.Files[leaseName]}
	if f := legacy.Files[recordName]; f != nil {
		e.record = &record{base: base, lock: lockfile.Inherited(f)}
	}
	// The guard is the child's parent and knows best: the launcher may have died before
	// it could write down what it had started.
	if n := len(legacy.Children); n > 0 {
		e.child = legacy.Children[n-1]
	}
	if e.child == nil || e.record == nil || e.lease == nil {
		return nil, errors.Join(&NotOrphanedError{ID: id, Reason: "its guard has no child of its"}, e.end(ctx))
	}
	return e, nil
}

// errGuardHangs means that a guard lives and does not answer, as one that was stopped.
var errGuardHangs = fmt.Errorf("its guard has not answered within %s", answerLimit)

// knock asks at a guard's door. The guard may not have noticed yet that its program is
// gone.
func knock(ctx context.Context, door string) (*guard.Guard, guard.Legacy, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerLimit, errGuardHangs)
	defer cancel()
	for patience := time.Now().Add(2 * time.Second); ; {
		conn, err := unixsock.Dial(ctx, door)
		if err != nil {
			return nil, guard.Legacy{}, err
		}
		g, legacy, err := guard.Adopt(ctx, conn)
		if !errors.Is(err, guard.ErrBusy) || time.Now().After(patience) || ctx.Err() != nil {
			return g, legacy, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// end takes down what was taken over.
func (e *estate) end(ctx context.Context) error {
	err := e.guard.Close()
	if e.lease != nil {
		lease, resumed := ports.Resume(ctx, ports.Config{Dir: e.state.LeaseDir}, e.state.Port, e.lease)
		if resumed == nil {
			resumed = lease.Release()
		}
		err = errors.Join(err, resumed)
	}
	return errors.Join(err, e.record.close())
}

// StopOrphan stops a child that was kept, as its launch would have: see
// supervisor.Ladder. The end of ctx is a hurry, as o.Hurry is. It is
// unregistered first, at o.Registrars; others notice its silence. When its guard does not
// answer within 5 s, both are killed.
func StopOrphan(ctx context.Context, runtimeDir, id string, o StopOptions) error {
	e, err := takeOver(ctx, runtimeDir, id)
	if errors.Is(err, errGuardHangs) {
		s, _ := readState(recordBase(runtimeDir, id)) // nobody's, then
		o.unregister(ctx, s)
		return killGuard(recordBase(runtimeDir, id))
	}
	if err != nil {
		return err
	}
	hurry, done := o.hurry(ctx)
	defer done()
	var farewell sync.WaitGroup
	farewell.Go(func() { o.unregister(hurry, e.state) })
	if o.Grace == nil || *o.Grace > 0 { // else it is killed at once
		farewell.Wait()
	}
	way := supervisor.Ladder{
		Signal: syscall.Signal(e.state.StopSignal), Second: syscall.Signal(e.state.SecondSignal),
		Grace: time.Duration(e.state.GraceMS) * time.Millisecond, Hurry: hurry.Done(),
	}
	if o.Grace != nil {
		way.Grace = min(way.Grace, *o.Grace)
	}
	if way.Grace == 0 {
		way.Grace = -1 // none, and not the default
	}
	_, err = way.Down(e.child, id)
	farewell.Wait()
	return errors.Join(err, e.end(ctx))
}

// Orphan is what one needs to know of an orphan to adopt it.
type Orphan struct {
	Launch
	Resume json.RawMessage // Config.Resume of its launch
}

// Orphans shows the children that were kept, by id.
func Orphans(runtimeDir string) ([]Orphan, error) {
	launches, err := List(runtimeDir)
	if err != nil {
		return nil, err
	}
	var orphans []Orphan
	for _, l := range launches {
		if l.Status != IsOrphaned {
			continue
		}
		if resume, err := ResumeOf(runtimeDir, l.ID); err == nil { // else it ended just now
			orphans = append(orphans, Orphan{l, resume})
		}
	}
	return orphans, nil
}

// ResumeOf is Config.Resume of a launch that List shows, orphaned or not; nil for one that
// has none. It fails with ErrNotThere for one that is not recorded.
func ResumeOf(runtimeDir, id string) (json.RawMessage, error) {
	s, err := readState(recordBase(runtimeDir, id))
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotThere
	}
	if err != nil {
		return nil, fmt.Errorf("find how %s was launched: %w", id, err)
	}
	return s.Resume, nil
}

// adopt takes over the child that the launch is to begin with; nil where it is to start
// one.
func (l *launching) adopt(ctx context.Context) (*supervisor.Adoption, error) {
	if !l.cfg.Adopt {
		return nil, nil
	}
	e, err := takeOver(ctx, l.cfg.RuntimeDir, l.cfg.ID)
	if err != nil {
		return nil, err
	}
	lease, err := ports.Resume(ctx, l.cfg.Ports, e.state.Port, e.lease)
	if err != nil {
		return nil, errors.Join(err, e.end(ctx))
	}
	l.berth.lease = lease
	l.record, l.recorded = e.record, true
	l.shown = e.state
	l.target = Target{ID: e.state.ID, InstanceID: e.state.InstanceID, Host: e.state.Host, Port: e.state.Port}
	return &supervisor.Adoption{
		Guard: e.guard, Child: e.child, Life: e.state.Life, Ready: e.state.WasReady, Began: e.state.StartedAt,
	}, nil
}
