package guard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
)

// ErrGuarded means that the guard still runs, and ends what is to be ended itself.
var ErrGuarded = errors.New("its guard still runs")

// Traces is what has to be written down of a child, or of all children that a guard is
// going to have, so that Reclaim knows later what they left behind.
type Traces struct {
	Boot   string  `json:"boot"` // processes are named for the time until the next one
	Guard  Process `json:"guard"`
	Number uint64  `json:"number,omitempty"` // of the child, with the guard; 0: all of them
	Child  Process `json:"child,omitzero"`   // zero when it is not known yet
	Cgroup string  `json:"cgroup,omitempty"` // its folder; "" when there is none
}

// Traces are those of all children that the guard has or will have. They can be written
// down before there is one.
func (g *Guard) Traces() Traces {
	t := Traces{Boot: Boot(), Guard: g.Process(), Cgroup: string(g.home)}
	if g.home != "" {
		return t
	}
	if folder, err := cgroupFolder(); err == nil { // else the guard has none either
		t.Cgroup = filepath.Join(folder, cgroupOf(g.self))
	}
	return t
}

// Traces are those of the child and of all that it starts.
func (c *Child) Traces() Traces {
	return Traces{
		Boot: Boot(), Guard: c.g.Process(),
		Number: c.id, Child: Process{c.pid, c.start}, Cgroup: string(c.cgroup),
	}
}

// Killed is a process that Reclaim killed.
type Killed struct {
	PID     int    `json:"pid"`
	Command string `json:"command"` // its command line, arguments apart by spaces; for people
}

// Reclaim kills what a guard and its program left behind that were both killed in the same
// instant, and returns what that was when nothing of it is left. That may be nothing: it
// is safe to call again. The caller makes sure that the program is gone; while the guard
// runs Reclaim fails with ErrGuarded. It takes some milliseconds, or a second or two where
// processes come and go; what SIGKILL does not end fails it after 10 s, and is named.
//
// It kills what it can prove to have come from the child: by the cgroup, by the mark in
// the environment, by the session or group as long as the child itself is there, and
// what descends from those. A descendant without any of these, which needs a machine
// without cgroups, is left alone.
func Reclaim(t Traces) ([]Killed, error) {
	if t.Boot != Boot() {
		return nil, nil // what ran before this boot has ended with it
	}
	r := reclaiming{Traces: t, killed: map[identity]Killed{}, zombies: map[identity]bool{}}
	err := t.check()
	if err == nil {
		err = r.run()
	}
	list := slices.SortedFunc(maps.Values(r.killed), func(a, b Killed) int { return cmp.Compare(a.PID, b.PID) })
	if err != nil {
		return list, fmt.Errorf("reclaim what guard %d left: %w", t.Guard.PID, err)
	}
	return list, nil
}

// check refuses what must not be reclaimed, and what nobody can have written down.
func (t Traces) check() error {
	if t.Guard.PID <= 1 || t.Guard.Start <= 0 {
		return fmt.Errorf("there can't be a guard of pid %d and start %d", t.Guard.PID, t.Guard.Start)
	}
	if t.Guard.Alive() {
		return ErrGuarded
	}
	home := t.Cgroup
	if home != "" && t.Number != 0 {
		if filepath.Base(home) != strconv.FormatUint(t.Number, 10) {
			return fmt.Errorf("%s is not the cgroup of its child %d", t.Cgroup, t.Number)
		}
		home = filepath.Dir(home)
	}
	if home != "" && filepath.Base(home) != cgroupOf(t.Guard.identity()) {
		return fmt.Errorf("%s is not its cgroup", t.Cgroup)
	}
	return nil
}
