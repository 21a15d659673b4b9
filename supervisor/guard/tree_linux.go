package guard

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func becomeGuard() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // Linux 3.4; older ones keep the group kill
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0)    // for ps alone
}

// becomeHeir makes the program inherit its guard's children should the guard die.
func becomeHeir() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// executable is what the guard is started from. It works even when the program's
// file was replaced or deleted meanwhile.
func executable() (string, error) { return "/proc/self/exe", nil }

// strays reports whether the guard has children besides the living wards: only
// then can an exited ward have left something behind.
func (m *minder) strays() bool {
	pids, ok := childrenOf(os.Getpid())
	if !ok {
		return true
	}
	for _, pid := range pids {
		if !m.isLivingWard(pid) {
			return true
		}
	}
	return false
}

// childrenOf asks the kernel for a process's children without reading the whole
// table; false where it can't say (CONFIG_PROC_CHILDREN), or the process is going.
func childrenOf(pid int) ([]int, bool) {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return nil, false
	}
	var pids []int
	for _, t := range threads {
		list, err := os.ReadFile(tasks + t.Name() + "/children")
		if err != nil {
			return nil, false
		}
		for _, field := range bytes.Fields(list) {
			child, _ := strconv.Atoi(string(field))
			pids = append(pids, child)
		}
	}
	return pids, true
}

func (c *Child) tree() []process {
	var found []process
	if self, ok := readProcess(c.pid); ok && self.start == c.start {
		found = append(append(found, self), family(c.pid)...)
	}
	orphans, _ := childrenOf(c.g.PID())
	for _, pid := range orphans {
		if p, ok := readProcess(pid); ok && pid != c.pid && c.belongs(p) {
			found = append(append(found, p), family(pid)...)
		}
	}
	return found
}

// family lists the descendants of a process.
func family(pid int) []process {
	pids, ok := childrenOf(pid)
	if !ok {
		return descendants(pid, processTable())
	}
	var found []process
	for _, child := range pids {
		if p, ok := readProcess(child); ok {
			found = append(append(found, p), family(child)...)
		}
	}
	return found
}

func (m *minder) isLivingWard(pid int) bool {
	for _, w := range m.wards {
		if w.pid == pid && !w.exited {
			return true
		}
	}
	return false
}

func (m *minder) lineages() [][]process { return lineages(os.Getpid()) }

// lineages looks at root's own descendants alone, which is quick: what forks while it
// is being killed is a race.
func lineages(root int) [][]process {
	pids, ok := childrenOf(root)
	if !ok {
		return lineagesIn(processTable(), root)
	}
	var all [][]process
	for _, pid := range pids {
		if p, ok := readProcess(pid); ok {
			all = append(all, append([]process{p}, family(pid)...))
		}
	}
	return all
}

func processTable() map[int]process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	table := make(map[int]process, len(entries))
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				table[pid] = p
			}
		}
	}
	return table
}

// readProcess reads /proc/PID/stat; see proc_pid_stat(5) for the fields.
func readProcess(pid int) (process, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The name in parentheses may hold anything, so fields count from its last one.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return process{}, false
	}
	f := strings.Fields(string(stat[end+1:]))
	if len(f) < 20 {
		return process{}, false
	}
	p := process{identity: identity{pid: pid}, zombie: f[0] == "Z" || f[0] == "X"}
	p.parent, _ = strconv.Atoi(f[1])
	p.group, _ = strconv.Atoi(f[2])
	p.session, _ = strconv.Atoi(f[3])
	p.start, _ = strconv.ParseInt(f[19], 10, 64)
	return p, true
}

func startTime(pid int) int64 {
	p, _ := readProcess(pid)
	return p.start
}

func carries(pid int, entry string) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	return slices.Contains(strings.Split(string(env), "\x00"), entry)
}

// killExactly kills the process meant and no later one of the same pid: the pidfd
// pins it, and its start time is compared after the pinning.
func killExactly(who identity) {
	fd, err := unix.PidfdOpen(who.pid, 0)
	if err != nil {
		if err == unix.ENOSYS && startTime(who.pid) == who.start { // before Linux 5.3
			_ = syscall.Kill(who.pid, syscall.SIGKILL)
		}
		return
	}
	defer unix.Close(fd)
	if startTime(who.pid) == who.start {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
