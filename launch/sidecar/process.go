package sidecar

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// Command is a sidecar to start. Its main is to call TakeRole, and Run with that.
type Command struct {
	Path  string   // of the program; this one's own file when empty
	Argv  []string // its name first
	Env   []string // supervisor.ChildEnv(nil) when nil: it is no part of the service that this process may be
	Dir   string   // the working folder; this process's when empty
	Adopt string   // the id of an orphaned launch to take over; "" launches
}

// Message is what a sidecar tells: one of these.
type Message struct {
	Event *launch.Event `json:"event,omitempty"`
	Log   string        `json:"log,omitempty"` // lines of its log
	End   *Ended        `json:"end,omitempty"` // the last message
}

// Ended is how a launch ended while somebody listened: usually one that was never ready.
type Ended struct {
	Code int    `json:"code"` // the exit code
	Text string `json:"text"` // for people, with the child's last lines; "" after a stop
}

// Process is a sidecar as whoever started it sees it.
type Process struct {
	cmd      *exec.Cmd
	from     *os.File
	messages chan Message
	left     chan struct{} // closed when nobody reads messages any more
	exited   chan struct{}
	reading  sync.WaitGroup
	leaving  sync.Once
}

// Start starts a sidecar. The caller calls Leave; the sidecar ends with its launch.
func Start(c Command) (*Process, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("start a sidecar: no program is given")
	}
	if c.Path == "" {
		var err error
		if c.Path, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("start a sidecar: %w", err)
		}
	}
	if c.Env == nil {
		c.Env = supervisor.ChildEnv(nil)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	cmd := &exec.Cmd{
		Path: c.Path, Args: c.Argv, Dir: c.Dir,
		Env:         append(slices.Clone(c.Env), Role{Detached: true, Adopt: c.Adopt}.env()),
		ExtraFiles:  []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("start a sidecar: %w", err)
	}
	p := &Process{
		cmd: cmd, from: r, messages: make(chan Message),
		left: make(chan struct{}), exited: make(chan struct{}),
	}
	p.reading.Go(p.read)
	go p.reap()
	return p, nil
}

// reap is not waited for: it ends with the sidecar, or with this process. Until then it
// has a thread of the system's, which waits.
func (p *Process) reap() {
	_ = p.cmd.Wait() // it has told its exit code to whoever listened
	close(p.exited)
}

func (p *Process) read() {
	defer close(p.messages)
	for dec := json.NewDecoder(p.from); ; {
		var m Message
		if dec.Decode(&m) != nil {
			return
		}
		select {
		case p.messages <- m:
		case <-p.left:
			return
		}
	}
}

// PID is the sidecar's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Messages are what the sidecar tells. Who reads slowly, or not at all, holds up nothing,
// and misses what is beyond a thousand messages. The channel is closed when the sidecar
// has told its end, has died, or goes on as another version of the program; and by Leave.
func (p *Process) Messages() <-chan Message { return p.messages }

// Exited is closed when the sidecar has ended and was reaped, whether or not it was left.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stop asks the sidecar to stop its launch and to end, the second time at once, and does
// not wait. It does nothing to one that has ended.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // refused once it was reaped: the pid is its, or nobody's
}

// Leave stops listening: the sidecar goes on. It is still reaped when it ends, as long as
// this process lives.
func (p *Process) Leave() {
	p.leaving.Do(func() {
		close(p.left)
		_ = p.from.Close()
	})
	p.reading.Wait()
}
