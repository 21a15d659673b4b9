package guard

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strconv"
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

// mark is the environment entry by which a descendant that has left both its
// parent and its session is told apart from those of the guard's other children.
func mark(child uint64) string { return markOf(os.Getpid(), child) }

func markOf(guard int, child uint64) string {
	return markEnv + "=" + strconv.Itoa(guard) + "." + strconv.FormatUint(child, 10)
}

// survey lists every ward's tree, the wards themselves left out, as soon as one of
// them has left something behind. Otherwise, which is the usual case, it reads no
// process but the guard and returns nil.
//
// The zombies among the guard's own children are in the list, those whose ward can't
// be told under 0: what a process started in its last moment may not show before that
// process has been reaped. Only the guard reaps them, so that no descendant can pass
// from a process that was looked at to one that was not.
func (m *minder) survey() map[uint64][]process {
	if !m.strays() {
		return nil
	}
	found := map[uint64][]process{}
	for _, line := range m.lineages() {
		child := line[0]
		id, known := m.wardOf(child)
		switch {
		case known && child.pid == m.wards[id].pid:
			found[id] = append(found[id], line[1:]...)
		case known, child.zombie:
			found[id] = append(found[id], line...)
		}
	}
	return found
}

// remember notes whose the ward's descendants are while that can still be seen:
// the signal that follows may orphan them.
func (m *minder) remember(w *ward) {
	if w.exited {
		return
	}
	for _, p := range family(w.pid) {
		m.kin[p.identity] = w.id
	}
}

// descendants lists the living processes below root, in no order.
func descendants(root int, table map[int]process) []process {
	var below []process
	for _, p := range table {
		if !p.zombie && isBelow(p, root, table) {
			below = append(below, p)
		}
	}
	return below
}

func isBelow(p process, root int, table map[int]process) bool {
	for range len(table) { // a table read while things change could hold a ring
		if p.parent == root {
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

// wardOf says whose a child of the guard is, and 0 where that can't be told. The
// answer is remembered, since an orphan may change its session later.
func (m *minder) wardOf(p process) (id uint64, known bool) {
	id, known = m.kin[p.identity]
	if !known {
		if id, known = m.recognise(p); known {
			m.kin[p.identity] = id
		}
	}
	if !known || m.wards[id] == nil {
		return 0, false
	}
	return id, true
}

// recognise tells a ward by its pid, and an orphan by its session, its group or its
// mark. Where there is but one ward, all orphans are its.
func (m *minder) recognise(p process) (id uint64, known bool) {
	for id, w := range m.wards {
		if (p.pid == w.pid && !w.exited) || p.session == w.pid || p.group == w.pid || carries(p.pid, mark(id)) {
			return id, true
		}
		if len(m.wards) == 1 {
			return id, true
		}
	}
	return 0, false
}

// forget drops what was remembered of a child that has been reaped: its pid may soon
// be another's.
func (m *minder) forget(pid int) {
	maps.DeleteFunc(m.kin, func(who identity, _ uint64) bool { return who.pid == pid })
}

// heirlooms lists what a dead guard's children left to this process: those in a
// child's session or group, those that carry its mark, and all below them.
// Zombies are in the list too, since they are this process's to reap; those whose
// origin can't be told any more, which may be anybody's, are apart.
func heirlooms(orphans map[uint64]*Child) (found []process, unknown []identity) {
	for _, line := range lineages(os.Getpid()) {
		switch child := line[0]; {
		case leftBy(orphans, child):
			found = append(found, line...)
		case child.zombie:
			unknown = append(unknown, child.identity)
		}
	}
	slices.SortFunc(unknown, func(a, b identity) int { return cmp.Compare(a.pid, b.pid) })
	return found, unknown
}

func leftBy(orphans map[uint64]*Child, p process) bool {
	for _, c := range orphans {
		// A session outside our PID namespace reads as 0, so a child that never
		// started must match nothing.
		if c.pid != 0 && c.belongs(p) {
			return true
		}
	}
	return false
}

// Pids lists the living processes of the child's tree, its own first.
func (c *Child) Pids() []int {
	var pids []int
	for _, p := range c.tree() {
		pids = append(pids, p.pid)
	}
	return pids
}

// belongs tells an orphan's child by its session, its group or its mark.
func (c *Child) belongs(p process) bool {
	return p.session == c.pid || p.group == c.pid || carries(p.pid, markOf(c.g.PID(), c.id))
}
