package launch

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
)

// List shows the launches there are, by id: those that live, those that are being taken
// down, and orphans. A state file that can't be read is told in the error, beside the
// launches that can.
func List(runtimeDir string) ([]Launch, error) {
	bases, err := records(runtimeDir)
	if err != nil {
		return nil, fmt.Errorf("list the launches in %s: %w", runtimeDir, err)
	}
	launches := []Launch{}
	var errs []error
	for _, base := range bases {
		s, err := readState(base)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended just now
		}
		if err != nil {
			if locked(base) { // a dead one is for Clear
				errs = append(errs, fmt.Errorf("list the launches: %w", err))
			}
			continue
		}
		if l, there := s.shown(base); there {
			launches = append(launches, l)
		}
	}
	slices.SortFunc(launches, func(a, b Launch) int { return cmp.Compare(a.ID, b.ID) })
	return launches, errors.Join(errs...)
}

// shown is a launch as it is now; false for a dead one.
func (s state) shown(base string) (Launch, bool) {
	if s.hasLauncher() { // the usual case, which needs no look at the lock
		return s.Launch, true
	}
	f := look(base, &s)
	l := s.Launch
	switch s.standing(f) {
	case orphaned:
		l.Status = IsOrphaned
	case ending:
		l.Status = IsStopping
	case dead:
		return l, false
	case alive:
		return l, true // as it was last written down
	}
	l.Registry, l.Queen = false, false // nobody beats for it
	return l, true
}

// Leftover is a record that nobody has: launcher and guard were killed together, or the
// machine was.
type Leftover struct {
	ID    string `json:"id"`
	Path  string `json:"path"`  // of its state file
	Why   string `json:"why"`   // it is dead
	Child int    `json:"child"` // the pid of its child, if that was left, too; else 0
}

// Leftovers shows what dead launches have left, and changes nothing.
func Leftovers(runtimeDir string) ([]Leftover, error) { return leftovers(runtimeDir, false) }

// Clear removes what dead launches have left, after ending what remains of their
// children, and says what that was.
func Clear(runtimeDir string) ([]Leftover, error) { return leftovers(runtimeDir, true) }

func leftovers(runtimeDir string, clear bool) ([]Leftover, error) {
	bases, err := records(runtimeDir)
	if err != nil {
		return nil, fmt.Errorf("look for leftovers in %s: %w", runtimeDir, err)
	}
	var found []Leftover
	var errs []error
	for _, base := range bases {
		l, isDead := leftover(base)
		if !isDead {
			continue
		}
		if clear {
			cleared, err := clearDead(base)
			if err != nil {
				errs = append(errs, fmt.Errorf("clear what %s has left: %w", l.ID, err))
			}
			if !cleared {
				continue
			}
		}
		found = append(found, l)
	}
	return found, errors.Join(errs...)
}

func leftover(base string) (Leftover, bool) {
	l := Leftover{ID: idOf(base), Path: base + stateExt}
	s, err := readState(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.Why = "it was killed while it began or ended"
		return l, !locked(base) && (&record{base: base}).remains()
	case err != nil:
		l.Why = fmt.Sprintf("its state can't be read: %v", err)
		return l, !locked(base)
	case s.hasLauncher():
		return l, false
	}
	f := look(base, &s)
	if s.standing(f) != dead {
		return l, false
	}
	l.Why = s.obituary(f)
	if s.Boot == f.boot && s.Child.Alive() {
		l.Child = s.Child.PID
	}
	return l, true
}

// clearDead removes a record that nobody holds the lock of; false when somebody does
// now.
func clearDead(base string) (bool, error) {
	r := &record{base: base}
	if err := r.tryLock(); err != nil {
		if errors.Is(err, lockfile.ErrLocked) {
			err = nil
		}
		return false, err
	}
	if s, err := readState(base); err == nil {
		if err := s.reclaim(); err != nil {
			return false, errors.Join(err, r.lock.Unlock()) // for the next one to try
		}
	}
	return true, r.close()
}
