package guard

import (
	"maps"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	name   = "rbee-guard" // argv[0] and the process name: what ps shows
	fdEnv  = "RBEE_GUARD_FD"
	socket = 3 // the descriptor that exec.Cmd.ExtraFiles begins at
)

// killLimit is how long a guard whose program is gone tries SIGKILL before what does
// not end is given up: a process that hangs in the kernel, or one of another user's (a
// setuid program).
const killLimit = 10 * time.Second

// hooked tells Start that Main was called: without that call a "guard" would be
// the whole program once more. It is the one piece of state this package keeps.
var hooked atomic.Bool

// Main turns this process into a guard if it was started as one, and then never
// returns; otherwise it returns at once. Call it first in main, and first in
// TestMain of tests that start children.
func Main() {
	hooked.Store(true)
	if os.Getenv(fdEnv) != strconv.Itoa(socket) || os.Args[0] != name {
		return
	}
	conn, err := fileConn(os.NewFile(socket, "guard"))
	if err != nil {
		os.Exit(1)
	}
	// PDEATHSIG fires at the end of the thread that made the child, so the children
	// are all made by a thread that lives as long as this process.
	runtime.LockOSThread()
	becomeGuard()
	newMinder(conn).run()
	os.Exit(0)
}

// minder is the guard's whole state; run's goroutine owns it.
type minder struct {
	conn     *net.UnixConn
	requests chan request // closed when the program is gone
	childish chan os.Signal
	wards    map[uint64]*ward
	kin      map[identity]uint64 // descendants whose ward is known, should they be orphaned
}

// ward is one child.
type ward struct {
	id     uint64
	pid    int
	stop   syscall.Signal
	grace  time.Duration
	exited bool
	killed bool // the tree is being killed
}

func newMinder(conn *net.UnixConn) *minder {
	m := &minder{
		conn:     conn,
		requests: make(chan request),
		childish: make(chan os.Signal, 1),
		wards:    map[uint64]*ward{},
		kin:      map[identity]uint64{},
	}
	signal.Notify(m.childish, syscall.SIGCHLD)
	// Caught, not ignored: a child would inherit the ignoring. These are meant for
	// the program, which then ends its children as it sees fit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return m
}

func (m *minder) run() {
	go m.listen() // ends with the process
	// What was killed, or was left behind by its parent, may need another look: a
	// process that forked while we killed, a grandchild whose end sends us no signal.
	const first, last = 5 * time.Millisecond, 100 * time.Millisecond
	pause := first
	recheck := time.NewTimer(time.Hour)
	for {
		select {
		case req, ok := <-m.requests:
			if !ok {
				m.lastWill()
				return
			}
			m.handle(req)
			pause = first
		case <-m.childish:
			m.reap()
			pause = first
		case <-recheck.C:
			m.reap()
			pause = min(2*pause, last)
		}
		if m.unfinished() {
			recheck.Reset(pause)
		} else {
			recheck.Reset(time.Hour)
		}
	}
}

func (m *minder) listen() {
	for {
		var req request
		files, err := receive(m.conn, &req)
		if err != nil {
			close(m.requests)
			return
		}
		req.files = files
		m.requests <- req
	}
}

func (m *minder) tell(r report) {
	_ = send(m.conn, r, nil) // a program that is gone shows as the end of requests
}

func (m *minder) handle(req request) {
	switch req.Op {
	case opSpawn:
		m.spawn(req)
	case opSignal:
		if w := m.wards[req.Child]; w != nil && (!w.exited || m.groupLives(w)) {
			m.remember(w)
			signalGroup(w.pid, syscall.Signal(req.Signal))
		}
	case opKill:
		if w := m.wards[req.Child]; w != nil {
			m.remember(w)
			w.killed = true
			m.reap()
		}
	}
}

func (m *minder) spawn(req request) {
	defer func() {
		for _, f := range req.files {
			_ = f.Close()
		}
	}()
	pid, err := m.forkExec(req)
	if err != nil {
		r := report{News: newsFailed, Child: req.Child, Error: err.Error()}
		if errno, ok := err.(syscall.Errno); ok {
			r.Errno = int(errno)
		}
		m.tell(r)
		return
	}
	m.wards[req.Child] = &ward{
		id: req.Child, pid: pid, stop: syscall.Signal(req.Signal),
		grace: time.Duration(req.GraceMS) * time.Millisecond,
	}
	m.tell(report{News: newsSpawned, Child: req.Child, PID: pid, Start: startTime(pid)})
}

func (m *minder) forkExec(req request) (int, error) {
	files := make([]uintptr, len(req.files))
	for i, f := range req.files {
		files[i] = f.Fd()
	}
	return syscall.ForkExec(string(req.Path), req.Args, &syscall.ProcAttr{
		Dir: string(req.Dir), Env: append(req.Env, mark(req.Child)), Files: files, Sys: childAttr(),
	})
}

// reap takes every exit there is, reports those of the children themselves, and
// then whose trees are gone.
func (m *minder) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		m.forget(pid)
		for _, w := range m.wards {
			if w.pid == pid && !w.exited {
				w.exited = true
				m.tell(report{News: newsExited, Child: w.id, PID: pid, Status: uint32(status)})
			}
		}
	}
	if m.unfinished() {
		m.sweep()
	}
}

// sweep kills on in the trees that are to be killed, and reports which are gone.
func (m *minder) sweep() {
	left := m.survey()
	for id, w := range m.wards {
		if w.killed {
			if !w.exited {
				signalGroup(w.pid, syscall.SIGKILL)
			}
			kill(left[id])
		}
		if w.exited && len(left[id]) == 0 && len(left[0]) == 0 {
			delete(m.wards, id)
			maps.DeleteFunc(m.kin, func(_ identity, of uint64) bool { return of == id })
			m.tell(report{News: newsGone, Child: id})
		}
	}
}

// kill ends processes of the guard's tree. The groups of its own children go as a
// whole: a member that forks just now can't get away, and until the child is reaped
// the number of its group can't be another's.
func kill(tree []process) {
	for _, p := range tree {
		if p.parent == os.Getpid() {
			signalGroup(p.group, syscall.SIGKILL)
		}
		killExactly(p.identity)
	}
}

// groupLives reports whether an exited ward's process group still has a member:
// else its number may be another's by now.
func (m *minder) groupLives(w *ward) bool {
	for _, p := range m.survey()[w.id] {
		if p.group == w.pid {
			return true
		}
	}
	return false
}

func (m *minder) unfinished() bool {
	for _, w := range m.wards {
		if w.killed || w.exited {
			return true
		}
	}
	return false
}

// lastWill empties every tree: the program is gone. Each child gets its stop
// signal and at most two seconds of its grace period, then SIGKILL.
func (m *minder) lastWill() {
	var patience time.Duration
	for _, w := range m.wards {
		patience = max(patience, min(w.grace, 2*time.Second))
		if !w.exited || m.groupLives(w) {
			signalGroup(w.pid, w.stop)
		}
	}
	deadline, giveUp := time.After(patience), time.After(patience+killLimit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for m.reap(); len(m.wards) > 0; m.reap() {
		select {
		case <-m.childish:
		case <-tick.C:
		case <-deadline:
			for _, w := range m.wards {
				w.killed = true
			}
		case <-giveUp:
			return
		}
		for _, w := range m.wards {
			w.killed = w.killed || w.exited // what a child left behind has no one to answer to
		}
	}
	m.killStrays()
}

// killStrays ends the orphans that could be laid at no child's door.
func (m *minder) killStrays() {
	for end := time.Now().Add(killLimit); m.strays() && time.Now().Before(end); {
		for _, line := range m.lineages() {
			kill(line)
		}
		m.reap()
		time.Sleep(time.Millisecond) // SIGKILL takes effect when the kernel gets to it
	}
}

// signalGroup reaches the child's process group; SIGCONT follows, because a
// stopped process acts on nothing else but SIGKILL.
func signalGroup(pid int, sig syscall.Signal) {
	if pid <= 1 {
		return // -1 would be everybody
	}
	_ = syscall.Kill(-pid, sig) // ESRCH: gone already, which is what was wanted
	if sig != syscall.SIGKILL && sig != syscall.SIGSTOP {
		_ = syscall.Kill(-pid, syscall.SIGCONT)
	}
}
