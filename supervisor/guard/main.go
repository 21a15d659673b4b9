package guard

import (
	"fmt"
	"iter"
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
	name    = "rbee-guard" // argv[0] and the process name: what ps shows
	fdEnv   = "RBEE_GUARD_FD"
	noneEnv = "RBEE_GUARD_NO_CGROUPS" // set by tests
	socket  = 3                       // the descriptor that exec.Cmd.ExtraFiles begins at
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
	becomeGuard()
	m := newMinder()
	m.run(conn)
	m.cgroups.close()
	os.Exit(0)
}

// minder is the guard's whole state; run's goroutine owns it.
type minder struct {
	owner    *owner // the program; nil when there is none
	requests chan request
	callers  chan *net.UnixConn // programs that come later
	drained  chan uint64        // children whose output has ended
	childish chan os.Signal
	forks    chan func() // run by the thread that is the children's parent
	patience *time.Timer // for a program that was announced by opLeave
	wards    map[uint64]*ward
	kin      map[identity]uint64 // descendants whose ward is known, should they be orphaned
	held     map[string]heldFile
	door     *net.UnixListener // where callers come in; nil when there is none
	self     identity
	cgroups  cgroups
}

// ward is one child.
type ward struct {
	id     uint64
	pid    int
	start  int64
	cgroup cgroup
	stop   syscall.Signal
	grace  time.Duration
	keep   bool    // it goes on without the program
	left   bool    // so it does for a moment, until the next one
	out    *keeper // nil where others read what it prints
	exited bool
	status syscall.WaitStatus
	killed bool // the tree is being killed
	gone   bool // nothing is left of it but its output
}

func newMinder() *minder {
	self := Self().identity()
	m := &minder{
		self:     self,
		cgroups:  cgroups{guard: self, off: os.Getenv(noneEnv) != ""},
		requests: make(chan request, 128), // as many as a program may have at once without a switch of threads for each
		callers:  make(chan *net.UnixConn),
		drained:  make(chan uint64),
		childish: make(chan os.Signal, 1),
		forks:    make(chan func()),
		patience: time.NewTimer(time.Hour),
		wards:    map[uint64]*ward{},
		kin:      map[identity]uint64{},
		held:     map[string]heldFile{},
	}
	m.patience.Stop()
	go m.fork()
	signal.Notify(m.childish, syscall.SIGCHLD)
	// Caught, not ignored: a child would inherit the ignoring. These are meant for
	// the program, which then ends its children as it sees fit.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return m
}

// fork makes the children: PDEATHSIG fires at the end of the thread that made a child, so
// this one lives as long as the process. Nothing else runs on it, since each word to a
// goroutine that has a thread to itself takes a switch of threads.
func (m *minder) fork() {
	runtime.LockOSThread()
	for job := range m.forks {
		job()
	}
}

func (m *minder) run(conn *net.UnixConn) {
	m.serve(conn)
	// What was killed, or was left behind by its parent, may need another look: a
	// process that forked while we killed, a grandchild whose end sends us no signal.
	const first, last = time.Millisecond, 100 * time.Millisecond
	pause := first
	recheck := time.NewTimer(time.Hour)
	for m.owner != nil || len(m.wards) > 0 {
		select {
		case req := <-m.requests:
			m.handle(req)
			pause = first
		case conn := <-m.callers:
			m.greet(conn)
		case id := <-m.drained:
			m.bury(id)
		case <-m.patience.C: // nobody came
			for _, w := range m.wards {
				w.left = false
			}
			m.lastWill()
		case <-m.childish:
			m.takeRequests()
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
	m.giveBack()
}

// takeRequests does what is asked for already. To look after a hundred children that are
// told to end takes less when the looking comes after the telling.
func (m *minder) takeRequests() {
	for range cap(m.requests) {
		select {
		case req := <-m.requests:
			m.handle(req)
		default:
			return
		}
	}
}

func (m *minder) handle(req request) {
	if req.from != m.owner {
		return // it is gone, and what it wanted done with it
	}
	w := m.wards[req.Child]
	switch req.Op {
	case opLost:
		m.lost()
	case opSpawn:
		m.spawn(req)
	case opSignal:
		if w != nil && (!w.exited || m.groupLives(w)) {
			m.remember(w)
			signalGroup(w.pid, syscall.Signal(req.Signal))
		}
	case opTell:
		m.tellWard(req.Child, syscall.Signal(req.Signal))
	case opKill:
		if w != nil {
			m.remember(w)
			w.killed = true
			m.reap()
		}
	case opFollow:
		if w != nil && w.out != nil {
			w.out.follow(m.owner.out)
		}
	case opLeave:
		if w != nil {
			w.left = true
		}
	case opEnd:
		for _, w := range m.wards {
			w.keep, w.left = false, false
		}
		clear(m.held) // the program lives, and gives them back itself
	case opEntrust:
		m.entrust(req)
	case opRelease:
		m.release(req.Name)
	case opListen:
		m.listen(req)
	}
}

func (m *minder) spawn(req request) {
	defer func() {
		for _, f := range req.files {
			_ = f.Close()
		}
	}()
	w := &ward{
		id: req.Child, stop: syscall.Signal(req.Signal), keep: req.Keep,
		grace: time.Duration(req.GraceMS) * time.Millisecond,
	}
	err := m.start(w, req)
	if err != nil {
		r := report{News: newsFailed, Child: req.Child, Error: err.Error()}
		if errno, ok := err.(syscall.Errno); ok {
			r.Errno = int(errno)
		}
		m.tell(r)
		return
	}
	m.wards[req.Child] = w
	m.tell(report{News: newsSpawned, Child: req.Child, PID: w.pid, Start: w.start, Cgroup: text(w.cgroup)})
}

// start starts the ward's process, and reads its output if that is asked for.
func (m *minder) start(w *ward, req request) (err error) {
	if req.Output {
		var stdout, stderr *os.File
		if w.out, stdout, stderr, err = newKeeper(w.id, req.Log, m.owner.out); err != nil {
			return err
		}
		defer stdout.Close()
		defer stderr.Close()
		req.files = []*os.File{req.files[0], stdout, stderr}
	}
	forked := make(chan struct{})
	m.forks <- func() {
		w.pid, w.cgroup, err = m.forkExec(req)
		close(forked)
	}
	<-forked
	if err != nil {
		if w.out != nil {
			w.out.close()
		}
		return err
	}
	w.start = startTime(w.pid)
	if w.out != nil {
		w.out.read()
	}
	return nil
}

func (m *minder) forkExec(req request) (int, cgroup, error) {
	files := make([]uintptr, len(req.files))
	for i, f := range req.files {
		files[i] = f.Fd()
	}
	return m.cgroups.fork(req.Child, string(req.Path), req.Args, &syscall.ProcAttr{
		Dir: string(req.Dir), Env: append(req.Env, markOf(m.self, req.Child)), Files: files, Sys: childAttr(),
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
				w.exited, w.status = true, status
				m.exited(w)
			}
		}
	}
	if m.unfinished() {
		m.sweep()
	}
}

// exited tells of a child's end.
func (m *minder) exited(w *ward) {
	m.tell(report{News: newsExited, Child: w.id, PID: w.pid, Status: uint32(w.status)})
	if m.owner == nil || m.owner.lost {
		m.unseen(w)
	}
}

// unseen is the end of a child that has no launcher: what it left is killed.
func (m *minder) unseen(w *ward) {
	w.killed = true
	if w.out != nil && w.keep {
		w.out.note(fmt.Sprintf("pid %d ended with no launcher to see it: %s", w.pid, exitOf(w.status)))
	}
}

// sweep kills on in the trees that are to be killed, and sees which are gone.
func (m *minder) sweep() {
	for _, w := range m.wards {
		if w.killed && !w.gone {
			w.cgroup.kill()
			if !w.exited {
				signalGroup(w.pid, syscall.SIGKILL)
			}
		}
	}
	left := m.survey()
	for id, w := range m.wards {
		if w.exited && !w.gone && len(left[id]) == 0 && len(left[0]) == 0 && !w.cgroup.populated() {
			w.gone = true
			go func() {
				w.cgroup.remove()
				w.out.finish()
				m.drained <- id
			}()
		}
	}
}

// bury forgets a ward of which nothing is left, and tells.
func (m *minder) bury(id uint64) {
	delete(m.wards, id)
	maps.DeleteFunc(m.kin, func(_ identity, of uint64) bool { return of == id })
	m.tell(report{News: newsGone, Child: id})
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
		if (w.killed || w.exited) && !w.gone {
			return true
		}
	}
	return false
}

// lastWill empties every tree that is to end with the program, which is gone. Each
// child gets its stop signal and at most two seconds of its grace period, then SIGKILL.
func (m *minder) lastWill() {
	var patience time.Duration
	for w := range m.mortals() {
		patience = max(patience, min(w.grace, 2*time.Second))
		if !w.exited || m.groupLives(w) {
			signalGroup(w.pid, w.stop)
		}
	}
	deadline, giveUp := time.After(patience), time.After(patience+killLimit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for m.reap(); m.anyMortal(); m.reap() {
		select {
		case <-m.childish:
		case <-tick.C:
		case id := <-m.drained:
			m.bury(id)
		case <-deadline:
			for w := range m.mortals() {
				w.killed = true
			}
		case <-giveUp:
			for w := range m.mortals() {
				delete(m.wards, w.id)
			}
			return
		}
		for w := range m.mortals() {
			w.killed = w.killed || w.exited // what a child left behind has no one to answer to
		}
	}
	if len(m.wards) == 0 {
		m.killStrays()
	}
}

// mortals are the wards that end with the program.
func (m *minder) mortals() iter.Seq[*ward] {
	return func(yield func(*ward) bool) {
		for _, w := range m.wards {
			if !w.keep && !w.left && !yield(w) {
				return
			}
		}
	}
}

func (m *minder) anyMortal() bool {
	for range m.mortals() {
		return true
	}
	return false
}
