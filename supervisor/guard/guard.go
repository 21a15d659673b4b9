package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrNotHooked means that main never called Main.
var ErrNotHooked = errors.New("guard.Main was not called at the start of main")

// ErrGuardDied means that the guard process itself was killed. Its children were
// killed with it.
var ErrGuardDied = errors.New("the guard process died")

// Guard is the program's end of its guard process. Its methods may be called from
// several goroutines.
type Guard struct {
	conn *net.UnixConn
	cmd  *exec.Cmd // nil for a guard that another program started
	self identity
	home cgroup        // of a guard that was adopted, which may be in another cgroup than this program
	read chan struct{} // closed when the reader goroutine has ended

	detached atomic.Bool

	// sending is apart from mu: the guard may have to be listened to before it takes
	// more.
	sending sync.Mutex

	mu       sync.Mutex
	next     uint64
	children map[uint64]*Child
	dead     error // set once no child can be started any more
}

// Start starts a guard process; it does not wait until that is up, since the
// socket keeps what is asked of it meanwhile. The caller closes the Guard.
//
// On Linux it makes the calling process a subreaper.
func Start() (*Guard, error) { return startWith(guardEnv()) }

func startWith(env []string) (*Guard, error) {
	if !hooked.Load() {
		return nil, fmt.Errorf("start a guard: %w", ErrNotHooked)
	}
	g, err := start(env)
	if err != nil {
		return nil, fmt.Errorf("start a guard: %w", err)
	}
	go g.listen()
	return g, nil
}

func start(env []string) (*Guard, error) {
	if err := becomeHeir(); err != nil {
		return nil, err
	}
	exe, err := executable()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	conn, err := fileConn(ours)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path:       exe,
		Args:       []string{name},
		Env:        env,
		Dir:        "/", // holds no folder of the user's busy
		ExtraFiles: []*os.File{theirs},
		// A session of its own: what is sent to the program's group or terminal passes by.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	self := identity{cmd.Process.Pid, startTime(cmd.Process.Pid)} // not reaped yet, so its pid is its own
	return &Guard{conn: conn, cmd: cmd, self: self, read: make(chan struct{}), children: map[uint64]*Child{}}, nil
}

// guardEnv is next to nothing: what the Go runtime was told for a program built
// with -race or -cover holds for its guard, too.
func guardEnv() []string {
	env := []string{fmt.Sprintf("%s=%d", fdEnv, socket), "GOMAXPROCS=1"}
	for _, key := range []string{"GORACE", "GOCOVERDIR"} {
		if value, set := os.LookupEnv(key); set {
			env = append(env, key+"="+value)
		}
	}
	return env
}

func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	return os.NewFile(uintptr(fds[0]), "guard"), os.NewFile(uintptr(fds[1]), "program"), nil
}

// PID is the guard process's own.
func (g *Guard) PID() int { return g.self.pid }

// Process is the guard process itself.
func (g *Guard) Process() Process { return g.self.process() }

// Pids lists the living processes of the tree of the child with this pid, its own first.
func (g *Guard) Pids(pid int) []int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.children {
		if c.pid == pid {
			return c.Pids()
		}
	}
	return nil
}

// Err says why no child can be started any more; nil while one can.
func (g *Guard) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}

// closeLimit is what Close waits for: the 2 s at most that children get to end, and
// time for SIGKILL.
const closeLimit = 5 * time.Second

// Close ends the guard, which first ends whatever still lives below it, what is to be
// kept too, and waits for that. What was entrusted stays the program's to give back. A
// guard that takes more than 5 s, be it stopped or busy with a process that hangs in the
// kernel, is killed, and what it leaves is ended from here; Close fails when that takes another
// 20 s. It is safe to call twice.
func (g *Guard) Close() error {
	g.wake()
	_ = g.conn.SetWriteDeadline(time.Now().Add(closeLimit)) // one that hangs may read nothing
	_ = g.send(request{Op: opEnd})                          // a guard that is dead has no children
	_ = g.conn.CloseWrite()                                 // the guard sees the end of requests; we still hear its reports
	if g.awaitEnd(closeLimit) {
		return nil
	}
	g.Process().Kill()
	if !g.awaitEnd(2 * killLimit) {
		return fmt.Errorf("close the guard: pid %d has not ended, not even by SIGKILL", g.PID())
	}
	return nil
}

// awaitEnd reports whether the guard, and what had to be done after it, ends in time.
func (g *Guard) awaitEnd(limit time.Duration) bool {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-g.read:
		return true
	case <-late.C:
		return false
	}
}

// wake makes a guard go on that was stopped, by SIGSTOP say: what is to end must end.
func (g *Guard) wake() { g.Process().Wake() }

// Detach hangs up on the guard, as the program's death would: children that are kept,
// or left, go on, the others end. The Guard is of no use afterwards.
func (g *Guard) Detach() {
	g.detached.Store(true)
	_ = g.conn.Close()
	<-g.read
}

// listen takes the guard's reports until it ends.
func (g *Guard) listen() {
	defer close(g.read)
	reports := bufio.NewReaderSize(g.conn, 64<<10)
	for {
		var r report
		if err := read(reports, &r); err != nil {
			break
		}
		g.mu.Lock()
		c := g.children[r.Child]
		if r.News == newsGone || r.News == newsFailed {
			delete(g.children, r.Child)
		}
		g.mu.Unlock()
		if c != nil {
			c.take(r)
		}
	}
	_ = g.conn.Close()
	if g.detached.Load() {
		return
	}
	if g.cmd != nil {
		_ = g.cmd.Wait() // a guard that was killed says so, and that is handled here
	} else {
		_, _ = syscall.Wait4(g.self.pid, nil, 0, nil) // ours to reap only if this process was another program before
		for end := time.Now().Add(killLimit); g.Process().Alive() && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // its socket goes before it is gone itself
		}
	}
	g.bury()
}

// bury deals with a guard that is gone. After Close there is nothing left to do;
// otherwise it was killed: the kernel killed its children, and theirs, which are
// ours now, are killed here.
func (g *Guard) bury() {
	g.mu.Lock()
	orphans := g.children
	g.children = map[uint64]*Child{}
	g.dead = ErrGuardDied
	g.mu.Unlock()
	err := inherit(g.self, orphans)
	if g.cmd == nil && len(orphans) > 0 { // another's child may have left its children to another
		_, reclaimed := Reclaim(g.Traces())
		err = errors.Join(err, reclaimed)
	}
	for _, c := range orphans {
		c.lost(err)
	}
}

// Command is what to start.
type Command struct {
	Path           string   // an absolute path, or one with a slash: no PATH search happens here
	Args           []string // argv, the program's own name first; Path alone when empty
	Env            []string // the whole environment
	Dir            string   // the program's own when empty
	Stdin          *os.File // /dev/null when nil, as are the others; all stay the caller's to close
	Stdout, Stderr *os.File
	Output         *Output        // in place of Stdout and Stderr: the guard reads what the child prints
	Stop           syscall.Signal // SIGTERM when zero: used when the program dies
	Grace          time.Duration  // between that and SIGKILL; at most 2 s are given then
	Keep           bool           // the child goes on when the program dies; see Listen
}

// Output says what becomes of what a child prints. The guard reads and logs it, so that
// none is lost when the program dies. A program that reads too slowly is not waited for.
type Output struct {
	Log LogFile
	// OnLine is told each line, before Gone is closed, from the goroutine that hears the
	// guard: it must return soon, and must not call the guard.
	OnLine func(Line)
	// OnTrouble is told, from there too, that the log can't be written.
	OnTrouble func(error)
}

// Spawn starts a child and returns once it runs. A failure wraps the system's
// error: fs.ErrNotExist, fs.ErrPermission, syscall.ENOEXEC, syscall.EINVAL for a NUL in the
// command...
func (g *Guard) Spawn(ctx context.Context, cmd Command) (*Child, error) {
	req, err := cmd.request()
	if err != nil {
		return nil, err
	}
	defer req.null.Close()
	c := newChild(g)
	if cmd.Output != nil {
		c.output = *cmd.Output
	}
	g.mu.Lock()
	if g.dead != nil {
		g.mu.Unlock()
		return nil, fmt.Errorf("start %s: %w", cmd.Path, g.dead)
	}
	g.next++
	c.id, req.Child = g.next, g.next
	g.children[c.id] = c
	g.mu.Unlock()
	if err := g.send(req); err != nil {
		return nil, fmt.Errorf("start %s: %w: %w", cmd.Path, ErrGuardDied, err)
	}
	select {
	case r := <-c.spawned:
		return c.begun(r, cmd.Path)
	case <-ctx.Done():
		// Not left half known: what started is killed, and Gone tells of it.
		_ = c.Kill()
		return nil, fmt.Errorf("start %s: %w", cmd.Path, context.Cause(ctx))
	}
}

func (cmd Command) request() (request, error) {
	for what, all := range map[string][]string{"path": {cmd.Path}, "folder": {cmd.Dir}, "arguments": cmd.Args, "environment": cmd.Env} {
		if slices.ContainsFunc(all, hasNUL) { // the system would take that for the end
			return request{}, fmt.Errorf("start %q: a NUL is in its %s: %w", cmd.Path, what, syscall.EINVAL)
		}
	}
	req := request{
		Op: opSpawn, Args: cmd.Args, Env: cmd.Env,
		Signal: int(cmd.Stop), GraceMS: cmd.Grace.Milliseconds(), Keep: cmd.Keep,
		files: []*os.File{cmd.Stdin, cmd.Stdout, cmd.Stderr},
	}
	if len(req.Args) == 0 {
		req.Args = []string{cmd.Path}
	}
	if cmd.Output != nil {
		req.Output = true
		if cmd.Output.Log.Path != "" {
			log := cmd.Output.Log
			req.Log = &log
		}
	}
	if req.Signal == 0 {
		req.Signal = int(syscall.SIGTERM)
	}
	dir, err := filepath.Abs(cmd.Dir) // the guard's own is "/"
	if err != nil {
		return req, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	path, err := filepath.Abs(cmd.Path)
	if err != nil {
		return req, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	req.Dir, req.Path = text(dir), text(path)
	if req.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return req, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	for i, f := range req.files {
		if f == nil {
			req.files[i] = req.null
		}
	}
	return req, nil
}

func (g *Guard) ask(req request) error {
	if err := g.Err(); err != nil {
		return err
	}
	return g.send(req)
}

func (g *Guard) send(req request) error {
	g.sending.Lock()
	defer g.sending.Unlock()
	return send(g.conn, req, req.files)
}
