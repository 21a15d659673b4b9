package guard

import (
	"os"
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

// survey lists the living processes of every ward's tree, the children
// themselves left out, as soon as one child has left something behind. Otherwise,
// which is the usual case, it reads no process table and returns nil.
func (m *minder) survey() map[uint64][]process {
	if !m.strays() {
		return nil
	}
	table := m.table()
	for _, p := range table {
		if p.parent == os.Getpid() {
			m.adopt(p, table)
		}
	}
	found := map[uint64][]process{}
	for _, p := range descendants(os.Getpid(), table) {
		if id, ok := m.wardOf(p, table); ok && p.pid != m.wards[id].pid {
			found[id] = append(found[id], p)
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

// wardOf climbs from p to the guard's own child above it and says whose that is.
func (m *minder) wardOf(p process, table map[int]process) (uint64, bool) {
	for range len(table) {
		if p.parent == os.Getpid() {
			id, ok := m.kin[p.identity]
			return id, ok && m.wards[id] != nil
		}
		up, ok := table[p.parent]
		if !ok {
			return 0, false
		}
		p = up
	}
	return 0, false
}

// adopt decides whose a direct child of the guard is: a ward itself, or an orphan
// known by its session, its group or its mark. The answer is remembered, since an
// orphan may change its session later.
func (m *minder) adopt(p process, table map[int]process) {
	if _, known := m.kin[p.identity]; known {
		return
	}
	for gone := range m.kin {
		if now, ok := table[gone.pid]; !ok || now.identity != gone {
			delete(m.kin, gone)
		}
	}
	for id, w := range m.wards {
		if (p.pid == w.pid && !w.exited) || p.session == w.pid || p.group == w.pid || carries(p.pid, mark(id)) {
			m.kin[p.identity] = id
			return
		}
	}
	if len(m.wards) == 1 {
		for id := range m.wards {
			m.kin[p.identity] = id
		}
	}
}

// heirlooms lists what a dead guard's children left to this process: those in a
// child's session or group, those that carry its mark, and all below them.
// Zombies are in the list too, since they are this process's to reap.
func heirlooms(orphans map[uint64]*Child) []process {
	table := processTable()
	var found []process
	for _, p := range table {
		if p.parent != os.Getpid() {
			continue
		}
		for _, c := range orphans {
			// A session outside our PID namespace reads as 0, so a child that never
			// started must match nothing.
			if c.pid == 0 {
				continue
			}
			if c.belongs(p) {
				found = append(found, p)
				found = append(found, descendants(p.pid, table)...)
				break
			}
		}
	}
	return found
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
