package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/unixsock"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// showAs makes List show the launch under this id from now on, and Open find it. A
// folder that can't be written costs that, not the launch, unless nothing else but that
// would lead to it; an id that is another's is refused.
func (l *launching) showAs(ctx context.Context, id string) error {
	l.mu.Lock()
	l.shown = state{
		Launch: Launch{
			Type: l.cfg.Type, Model: l.cfg.Model, Engine: l.cfg.Engine, Detached: l.cfg.Detached, StartedAt: time.Now(),
			ID: id, SpawnedBy: l.cfg.SpawnedBy,
		},
		Host: l.cfg.Host, LeaseDir: l.cfg.Ports.Dir, OnOrphan: l.cfg.OnOrphan, Resume: l.cfg.Resume,
	}
	known := l.recorded
	same := l.record != nil && l.record.base == recordBase(l.cfg.RuntimeDir, id) // a new port need not mean a new id
	l.mu.Unlock()
	if l.cfg.RuntimeDir == "" || same {
		return nil
	}
	next, err := openRecord(ctx, l.cfg.RuntimeDir, id)
	var inUse *InUseError
	if errors.As(err, &inUse) || (err != nil && l.cfg.Detached && !known) {
		return err
	}
	if err != nil {
		l.cfg.Log.Warn("the launch can't be listed", "err", err)
	}
	l.mu.Lock()
	last := l.record
	l.record = next
	l.mu.Unlock()
	if err := last.close(); err != nil {
		l.cfg.Log.Warn("the launch is still listed under an old id", "err", err)
	}
	return l.takeCommands(ctx)
}

// takeCommands opens the control socket of the record there is.
func (l *launching) takeCommands(ctx context.Context) error {
	l.control.close()
	l.control = nil
	if l.record == nil {
		return nil
	}
	if l.cfg.Control == nil {
		_ = l.record.removeAll(sockExt) // a dead launcher's; listening fails where it stays
	}
	c, err := l.openControl(ctx, l.record.base, l.cfg.Control)
	if err != nil {
		l.cfg.Log.Warn("the launch takes no commands", "err", err)
		return nil
	}
	l.control, l.cfg.Control = c, nil
	return nil
}

// entrust makes the guard hold what is to live as long as the child, and be found by an
// adopter.
func (l *launching) entrust(g *guard.Guard) error {
	l.entrusted = g
	lease, path := l.berth.lease.File()
	err := g.Entrust(l.entrustedAs(leaseName), lease, path)
	if l.record != nil {
		err = errors.Join(err, g.Entrust(l.entrustedAs(recordName), l.record.lock.File(), l.record.files()...))
		if l.cfg.Guard == nil {
			err = errors.Join(err, l.openDoor(g))
		}
	}
	if err != nil {
		return fmt.Errorf("the child can't be adopted: %w", err)
	}
	return nil
}

// entrustedAs is the name of a thing of this launch's, at a guard that may have others.
func (l *launching) entrustedAs(name string) string {
	if l.cfg.Guard == nil {
		return name
	}
	return name + " of " + l.target.ID
}

func (l *launching) openDoor(g *guard.Guard) error {
	if err := l.record.removeAll(doorExt); err != nil {
		return err
	}
	door, err := unixsock.Listen(l.record.base + doorExt)
	if err != nil {
		return err
	}
	defer door.Close()
	return g.Listen(door)
}

// writeDown writes what is needed to know the child again, before it runs.
func (l *launching) writeDown(a supervisor.Attempt, spec supervisor.Spec) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.guard, l.spawning = a.Guard, spec
	s := &l.shown
	s.Boot, s.Launcher, s.Guard = guard.Boot(), guard.Self(), a.Guard.Process()
	s.Cgroup = a.Guard.Traces().Cgroup
	s.SupervisorPID, s.Detached, s.SpawnedBy = s.Launcher.PID, l.cfg.Detached, l.cfg.SpawnedBy
	s.Life, s.Log = a.Life, spec.LogFile.Path
	spec = spec.WithDefaults()
	s.StopSignal, s.SecondSignal = int(spec.StopSignal), int(spec.SecondSignal)
	s.GraceMS = spec.Grace.Milliseconds()
	s.InstanceID, s.Port, s.URL = l.target.InstanceID, l.target.Port, l.target.URL()
	if !a.Adopted {
		s.Status, s.WasReady = cmp.Or(s.Status, Starting), false
	}
	if l.record == nil {
		return errors.New("it is not recorded")
	}
	return l.written(l.record.write(*s))
}

// written passes on how the writing of the record went.
func (l *launching) written(err error) error {
	l.stale = err != nil
	l.recorded = l.recorded || err == nil
	return err
}

// unrecorded is what comes of a state that could not be written: less, for a launch that
// was recorded before or has a terminal. A detached one that begins nobody would find.
func (l *launching) unrecorded(err error) error {
	l.mu.Lock()
	known := l.recorded
	l.mu.Unlock()
	if l.cfg.Detached && l.cfg.RuntimeDir != "" && !known {
		return fmt.Errorf("record the launch %s: %w", l.target.ID, err)
	}
	switch {
	case l.cfg.OnOrphan == KeepOrphan:
		l.cfg.Log.Warn("the child ends with this launcher, since nobody could adopt it", "id", l.target.ID, "err", err)
	case l.record != nil:
		l.cfg.Log.Warn("the launch can't be listed", "id", l.target.ID, "err", err)
	}
	return nil
}

// show writes the picture; a disk that is full costs the listing, not the child.
func (l *launching) show() {
	if l.record == nil {
		return
	}
	if err := l.written(l.record.write(l.shown)); err != nil {
		l.cfg.Log.Debug("the launch can't be listed", "id", l.shown.ID, "err", err)
	}
}
