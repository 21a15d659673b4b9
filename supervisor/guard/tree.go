package guard

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// identity is a process that can't be mistaken for a later one of the same pid.
type identity struct {
	pid   int
	start int64
}

// process is one line of the system's process table.
type process struct {
	identity
	parent  int
	group   int
	session int
	zombie  bool
}

const markEnv = "RBEE_GUARD_CHILD"

// markOf is the environment entry by which a descendant that has left both its parent
// and its session is told apart from all others.
func markOf(guard identity, child uint64) string {
	return fmt.Sprintf("%s=%d.%d.%d", markEnv, guard.pid, guard.start, child)
}

// markedBy tells by the mark which child of the guard a process comes from, 0 if from
// none. It is not sure of one that executes a program just now.
func markedBy(pid int, guard identity) (child uint64, sure bool) {
	env, sure := environ(pid)
	prefix := strings.TrimSuffix(markOf(guard, 0), "0")
	for _, entry := range env {
		if number, found := strings.CutPrefix(entry, prefix); found {
			if child, err := strconv.ParseUint(number, 10, 64); err == nil {
				return child, true
			}
		}
	}
	return 0, sure
}

// survey lists every ward's tree, the wards themselves left out, as soon as one of
// them has left something behind. Otherwise, which is the usual case, it reads no
// process but the guard and returns nil. What is to be killed is, as soon as it is
// found: a process that forks and ends is another one a millisecond later.
//
// Under 0 are those whose ward can't be told yet: zombies among the guard's own
// children, and who executes a program just now. What a process started in its last
// moment may not show before that process has been reaped. Only the guard reaps
// them, so that no descendant can pass from a process that was looked at to one that was not.
func (m *minder) survey() map[uint64][]process {
	if !m.strays() {
		return nil
	}
	found := map[uint64][]process{}
	for line := range m.lineages() {
		id, sure := m.wardOf(line[0])
		w := m.wards[id]
		if w == nil && sure {
			continue
		}
		if w != nil && line[0].pid == w.pid {
			line = line[1:]
		}
		if w != nil && w.killed {
			kill(line)
		}
		found[id] = append(found[id], line...)
	}
	return found
}

// remember notes whose the ward's descendants are while that can still be seen:
// the signal that follows may orphan them. Those in a cgroup show it themselves.
func (m *minder) remember(w *ward) {
	if w.exited || w.cgroup != "" {
		return
	}
	for _, p := range family(w.pid) {
		m.kin[p.identity] = w.id
	}
}

func processTable() map[int]process {
	table := map[int]process{}
	for _, pid := range allPids() {
		if p, ok := readProcess(pid); ok {
			table[pid] = p
		}
	}
	return table
}

// descendants lists the living processes below root, in no order.
func descendants(root int, table map[int]process) []process {
	var below []process
	roots := map[int]bool{root: true}
	for _, p := range table {
		if !p.zombie && isBelow(p, roots, table) {
			below = append(below, p)
		}
	}
	return below
}

func isBelow(p process, roots map[int]bool, table map[int]process) bool {
	for range len(table) { // a table read while things change could hold a ring
		if roots[p.parent] {
			return true
		}
		up, ok := table[p.parent]
		if !ok {
			return false
		}
		p = up
	}
	return false
}

// lineagesIn is one list for each child of root: the child itself, be it a zombie,
// and what lives below it.
func lineagesIn(table map[int]process, root int) [][]process {
	var all [][]process
	for _, p := range table {
		if p.parent == root {
			all = append(all, append([]process{p}, descendants(p.pid, table)...))
		}
	}
	return all
}

// wardOf says whose a child of the guard is, and 0 where that can't be told: for good,
// or only now. The answer is remembered, since an orphan may change its session later.
func (m *minder) wardOf(p process) (id uint64, sure bool) {
	id, sure = m.kin[p.identity], true
	if id == 0 {
		if id, sure = m.recognise(p); id != 0 {
			m.kin[p.identity] = id
		}
	}
	if m.wards[id] == nil {
		return 0, sure && !p.zombie
	}
	return id, true
}

// recognise tells a ward by its pid, and an orphan by its session, its group, its
// cgroup or its mark. Where there is but one ward, all orphans are its.
func (m *minder) recognise(p process) (id uint64, sure bool) {
	for id, w := range m.wards {
		if (p.pid == w.pid && !w.exited) || p.session == w.pid || p.group == w.pid || len(m.wards) == 1 {
			return id, true
		}
	}
	if id, found := childIn(p.pid, m.self); found {
		return id, true
	}
	return markedBy(p.pid, m.self)
}

// forget drops what was remembered of a child that has been reaped: its pid may soon
// be another's.
func (m *minder) forget(pid int) {
	maps.DeleteFunc(m.kin, func(who identity, _ uint64) bool { return who.pid == pid })
}

// Pids lists the living processes of the child's tree, its own first.
func (c *Child) Pids() []int {
	if pids, ok := c.cgroup.pids(); ok {
		// The kernel lists those that have ended and were not reaped as well, in no order.
		pids = slices.DeleteFunc(pids, func(pid int) bool {
			p, there := readProcess(pid)
			return !there || p.zombie
		})
		if i := slices.Index(pids, c.pid); i > 0 {
			pids[0], pids[i] = pids[i], pids[0]
		}
		return pids
	}
	var pids []int
	for _, p := range c.tree() {
		if !p.zombie {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// belongs tells an orphan's child by its session, its group or its mark.
func (c *Child) belongs(p process) bool {
	if id, _ := markedBy(p.pid, c.g.self); id == c.id {
		return true
	}
	return c.pid != 0 && (p.session == c.pid || p.group == c.pid)
}
