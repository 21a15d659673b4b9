package guard

import (
	"bytes"
	"errors"
	"io/fs"
	"iter"
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

func (m *minder) lineages() iter.Seq[[]process] { return lineages(os.Getpid()) }

// lineages looks at root's own descendants alone, the latest first, and each when it is
// asked for: what forks and ends while it is being killed is a race, and by the time that
// a hundred others have been looked at it is lost.
func lineages(root int) iter.Seq[[]process] {
	pids, ok := childrenOf(root)
	if !ok {
		return slices.Values(lineagesIn(processTable(), root))
	}
	return func(yield func([]process) bool) {
		for _, pid := range slices.Backward(pids) { // an orphan comes last
			if p, ok := readProcess(pid); ok && !yield(append([]process{p}, family(pid)...)) {
				return
			}
		}
	}
}

// allPids lists the processes there are.
func allPids() []int {
	entries, _ := os.ReadDir("/proc") // without it nobody can be told
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Fields of /proc/PID/stat, numbered as in proc_pid_stat(5).
const (
	statState    = 3
	statParent   = 4
	statGroup    = 5
	statSession  = 6
	statFlags    = 9
	statThreads  = 20
	statStart    = 22
	statCodeEnd  = 27
	statEnvStart = 50
	statEnvEnd   = 51
)

// stat is what follows the name in /proc/PID/stat.
type stat []string

func readStat(pid int) (stat, bool) {
	body, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, false
	}
	// The name in parentheses may hold anything, so fields count from its last one.
	end := bytes.LastIndexByte(body, ')')
	if end < 0 {
		return nil, false
	}
	s := stat(strings.Fields(string(body[end+1:])))
	return s, len(s) > statEnvEnd-statState
}

func (s stat) number(field int) int64 {
	n, _ := strconv.ParseInt(s[field-statState], 10, 64) // the kernel's own numbers
	return n
}

// ended tells a zombie from a process whose first thread alone has ended: it looks like one,
// and for an instant so does each that executes another program from a thread.
func (s stat) ended() bool { return (s[0] == "Z" || s[0] == "X") && s.number(statThreads) <= 1 }

func readProcess(pid int) (process, bool) {
	s, ok := readStat(pid)
	if !ok {
		return process{}, false
	}
	return process{
		identity: identity{pid: pid, start: s.number(statStart)},
		parent:   int(s.number(statParent)),
		group:    int(s.number(statGroup)),
		session:  int(s.number(statSession)),
		zombie:   s.ended(),
	}, true
}

func startTime(pid int) int64 {
	p, _ := readProcess(pid)
	return p.start
}

// environ reads the environment that a process was started with. While it executes a
// program none of that can be seen, or only the beginning, and nothing when it is about
// to end: then it is not sure that this is all. It is when the process is another user's,
// of which nothing can ever be seen.
func environ(pid int) (env []string, sure bool) {
	body, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, errors.Is(err, fs.ErrPermission)
	}
	s, ok := readStat(pid)
	if !ok {
		return nil, false
	}
	const kernelThread = 0x00200000 // PF_KTHREAD: it has none
	size := s.number(statEnvEnd) - s.number(statEnvStart)
	// Where the code ends is the last that execve(2) fills in.
	whole := s.number(statCodeEnd) != 0 && size == int64(len(body))
	return strings.Split(string(body), "\x00"), whole || s.number(statFlags)&kernelThread != 0
}

// signalExactly signals the process meant and no later one of the same pid: the pidfd
// pins it, and its start time is compared after the pinning.
func signalExactly(who identity, sig syscall.Signal) {
	fd, err := unix.PidfdOpen(who.pid, 0)
	if err != nil {
		if err == unix.ENOSYS && startTime(who.pid) == who.start { // before Linux 5.3
			_ = syscall.Kill(who.pid, sig)
		}
		return
	}
	defer unix.Close(fd)
	if startTime(who.pid) == who.start {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}
