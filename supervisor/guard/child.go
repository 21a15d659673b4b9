package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// Child is one process below a guard, and everything that it starts.
type Child struct {
	g       *Guard
	id      uint64
	pid     int
	start   int64
	cgroup  cgroup
	spawned chan report
	exited  chan struct{}
	gone    chan struct{}
	exit    Exit // written before exited is closed
	output  Output
	tail    chan []Line // the answer to Follow
}

func newChild(g *Guard) *Child {
	return &Child{
		g: g, spawned: make(chan report, 1), tail: make(chan []Line, 1),
		exited: make(chan struct{}), gone: make(chan struct{}),
	}
}

// Exit is how a child ended.
type Exit struct {
	Code   int            // the exit code; -1 when a signal ended it or nothing is known
	Signal syscall.Signal // the signal that ended it, or 0
	Err    error          // wraps ErrGuardDied: the child was killed, unseen; it says so if some of its tree could not be
}

// ShellCode is the exit code as a shell gives it: 128+N after signal N.
func (e Exit) ShellCode() int {
	switch {
	case e.Signal != 0:
		return 128 + int(e.Signal)
	case e.Err != nil:
		return 128 + int(syscall.SIGKILL)
	default:
		return e.Code
	}
}

// String says it in words: "exit code 3", "killed by SIGKILL".
func (e Exit) String() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%s)", int(e.Signal), e.Signal)
	default:
		return fmt.Sprintf("exit code %d", e.Code)
	}
}

// PID is the child's process id, which is its process group and session too.
func (c *Child) PID() int { return c.pid }

// Start is when the process began, in the system's own unit (Linux: clock ticks
// since boot). With the pid it names the process for good.
func (c *Child) Start() int64 { return c.start }

// Cgroup is the folder of the child's own cgroup (version 2), in which everything that
// it starts is too; "" where there is none. See package function Cgroup.
func (c *Child) Cgroup() string { return string(c.cgroup) }

// Exited is closed when the child itself has ended, no matter who still holds its
// output.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Exit says how it ended; call it after Exited is closed.
func (c *Child) Exit() Exit { return c.exit }

// Gone is closed when the child and all its descendants have ended.
func (c *Child) Gone() <-chan struct{} { return c.gone }

// Signal sends sig to the child's process group, and SIGCONT after it so that a
// stopped process hears it.
func (c *Child) Signal(sig syscall.Signal) error {
	c.g.wake()
	return c.g.ask(request{Op: opSignal, Child: c.id, Signal: int(sig)})
}

// Kill sends SIGKILL to the whole tree, again and again until it is gone. It does
// not wait: Gone tells. One that never goes is stuck in the kernel.
func (c *Child) Kill() error {
	c.g.wake()
	return c.g.ask(request{Op: opKill, Child: c.id})
}

func (c *Child) begun(r report, path string) (*Child, error) {
	if r.News == newsSpawned {
		return c, nil
	}
	if r.Errno != 0 {
		return nil, &fs.PathError{Op: "start", Path: path, Err: syscall.Errno(r.Errno)}
	}
	return nil, fmt.Errorf("start %s: %s", path, r.Error)
}

func (c *Child) take(r report) {
	switch r.News {
	case newsSpawned, newsFailed:
		c.pid, c.start, c.cgroup = r.PID, r.Start, cgroup(r.Cgroup)
		c.spawned <- r
	case newsExited:
		c.exit = exitOf(syscall.WaitStatus(r.Status))
		close(c.exited)
	case newsGone:
		close(c.gone)
	case newsTail:
		c.tail <- offWire(r.Lines)
	case newsLines:
		if r.Dropped > 0 {
			r.Lines = append([]wireLine{{Time: time.Now().UnixNano(), Text: text(fmt.Sprintf("[%d lines are left out here; the log has them]", r.Dropped))}}, r.Lines...)
		}
		if c.output.OnLine != nil {
			for _, l := range offWire(r.Lines) {
				c.output.OnLine(l)
			}
		}
	case newsTrouble:
		if c.output.OnTrouble != nil {
			c.output.OnTrouble(errors.New(r.Error))
		}
	}
}

// lost ends the waiting of those who wait for a child whose guard died. err is what
// became of the rest of its tree.
func (c *Child) lost(err error) {
	select {
	case c.spawned <- report{News: newsFailed, Error: ErrGuardDied.Error()}:
	default:
	}
	select {
	case <-c.exited:
	default:
		c.exit = Exit{Code: -1, Err: err}
		close(c.exited)
	}
	close(c.gone)
}

func exitOf(s syscall.WaitStatus) Exit {
	if s.Signaled() {
		return Exit{Code: -1, Signal: s.Signal()}
	}
	return Exit{Code: s.ExitStatus()}
}
