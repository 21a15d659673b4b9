//go:build !linux

package guard

import (
	"iter"
	"os"
	"slices"
	"syscall"

	gops "github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"
)

func becomeGuard() {} // no subreaper here: see the package's promise

func becomeHeir() error { return nil }

func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func executable() (string, error) { return os.Executable() }

// strays can't be told cheaply here.
func (m *minder) strays() bool { return true }

// allPids lists the processes there are.
func allPids() []int {
	list, _ := gops.Pids() // without it nobody can be told
	pids := make([]int, len(list))
	for i, pid := range list {
		pids[i] = int(pid)
	}
	return pids
}

func (c *Child) tree() []process {
	table := processTable()
	var found []process
	roots := map[int]bool{c.pid: true}
	for _, p := range table {
		if p.pid == c.pid || c.belongs(p) || isBelow(p, roots, table) {
			found = append(found, p)
		}
	}
	return found
}

func family(pid int) []process { return descendants(pid, processTable()) }

func (m *minder) lineages() iter.Seq[[]process] {
	return slices.Values(lineagesIn(m.table(), os.Getpid()))
}

func lineages(root int) iter.Seq[[]process] { return slices.Values(lineagesIn(processTable(), root)) }

// table is the process table as the guard sees it. An orphan's parent is PID 1
// here, not the guard: only one in a ward's group or session is taken for ours.
func (m *minder) table() map[int]process {
	table := processTable()
	for _, w := range m.wards {
		for pid, p := range table {
			if p.parent == 1 && (p.group == w.pid || p.session == w.pid) {
				p.parent = os.Getpid()
				table[pid] = p
			}
		}
	}
	return table
}

func readProcess(pid int) (process, bool) {
	q, err := gops.NewProcess(int32(pid))
	if err != nil {
		return process{}, false
	}
	p := process{identity: identity{pid: pid}}
	parent, err := q.Ppid()
	if err != nil {
		return process{}, false
	}
	p.parent = int(parent)
	p.start, _ = q.CreateTime()
	p.group, _ = unix.Getpgid(pid)
	p.session, _ = unix.Getsid(pid)
	if status, err := q.Status(); err == nil && len(status) > 0 {
		p.zombie = status[0] == gops.Zombie
	}
	return p, true
}

func startTime(pid int) int64 {
	p, _ := readProcess(pid)
	return p.start
}

// environ can't be told here: the environment of others is not ours to read.
func environ(int) (env []string, sure bool) { return nil, true }

func signalExactly(who identity, sig syscall.Signal) {
	if startTime(who.pid) == who.start {
		_ = syscall.Kill(who.pid, sig)
	}
}
