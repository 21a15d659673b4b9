package launch

import (
	"context"
	"os"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// spec answers for each start with where it is to be: usually where the last life
// was, as a new instance.
func (l *launching) spec(ctx context.Context, a supervisor.Attempt) (supervisor.Spec, error) {
	l.papers.Lock()
	defer l.papers.Unlock()
	moved, err := l.settle(ctx, a)
	if err != nil {
		return supervisor.Spec{}, err
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
		spec.LogFile.Path = logfile.Path(l.cfg.LogDir, spec.Name)
	}
	spec.Keep = l.cfg.OnOrphan == KeepOrphan
	err = l.writeDown(a, spec)
	if err != nil && l.placed {
		l.putRight(ctx) // there may be no folder any more
		err = l.writeDown(a, spec)
	}
	if err != nil {
		if err := l.unrecorded(err); err != nil {
			return spec, err
		}
		spec.Keep = false
	}
	l.placed = true
	if moved {
		l.emit(Event{Event: Leased})
	}
	return spec, nil
}

// settle finds the place of the next life, or that of the one that is adopted.
func (l *launching) settle(ctx context.Context, a supervisor.Attempt) (moved bool, err error) {
	if a.Adopted {
		l.entrusted = a.Guard // has all it needs
		return false, l.takeCommands(ctx)
	}
	port, moved, err := l.berth.port(ctx, a.Last)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	l.target = Target{ID: l.cfg.id(port), InstanceID: ulid.Make().String(), Host: l.cfg.Host, Port: port}
	l.mu.Unlock()
	if moved {
		if err := l.showAs(ctx, l.target.ID); err != nil {
			return false, err
		}
	}
	if moved || l.entrusted != a.Guard {
		if err := l.entrust(a.Guard); err != nil { // which costs that, not the launch
			l.cfg.Log.Warn(err.Error(), "id", l.target.ID)
		}
	}
	return moved, nil
}
