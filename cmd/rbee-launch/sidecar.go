package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/DeRuina/timberjack"
	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/inherited"
	"github.com/rbee-launch/rbee-launch/internal/logfile"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// A detached launch runs in a sidecar: this program once more, with the same command
// line, in a session of its own. What it is to be is in a variable of its environment.

// sidecarFlags are those of launches that can do without the terminal.
type sidecarFlags struct {
	Detach   bool   `short:"d" help:"Leave it to a sidecar of its own, and return when it is ready." group:"life"`
	OnOrphan string `help:"What becomes of the child when its launcher is killed: it ends too, or is kept for 'adopt' (default: kill; with -d keep)." enum:"kill,keep," default:"" group:"life"`
}

func (f sidecarFlags) onOrphan() launch.OnOrphan {
	switch {
	case f.OnOrphan != "":
		return launch.OnOrphan(f.OnOrphan)
	case f.Detach:
		return launch.KeepOrphan
	default:
		return launch.KillOrphan
	}
}

const (
	roleEnv  = "RBEE_LAUNCH_ROLE"
	parentFD = 3 // where a sidecar tells the command that started it how it goes
)

// role is what this process is, when it is not simply what was typed.
type role struct {
	Detached bool   `json:"detached,omitempty"` // a sidecar, whose parent listens at parentFD
	Adopt    string `json:"adopt,omitempty"`    // the id of the launch to take over
	Control  int    `json:"control,omitempty"`  // the descriptor of its control socket, after an upgrade
	Waited   bool   `json:"waited,omitempty"`   // nobody listens at parentFD any more
}

// takeRole reads the role out of the environment, which children are not to see it in.
func takeRole() (role, error) {
	var r role
	text, set := os.LookupEnv(roleEnv)
	if !set {
		return r, nil
	}
	if err := os.Unsetenv(roleEnv); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("read %s: %w", roleEnv, err)
	}
	return r, nil
}

func (r role) env() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // a defect of its type
	}
	return roleEnv + "=" + string(text)
}

// resume is what is kept with a launch for whoever is to go on with it: how to say again
// what was said.
type resume struct {
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
}

func ownResume() (json.RawMessage, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working folder: %w", err)
	}
	return json.Marshal(resume{Args: os.Args[1:], Env: os.Environ(), Dir: dir})
}

// keep launches a child as the flags and the role say: in the foreground, in a sidecar
// that is started, or as that sidecar.
func keep(call *cli.Call, f sidecarFlags, out outputFlags, cfg launch.Config) error {
	r, err := takeRole()
	if err != nil {
		return err
	}
	if cfg.Resume, err = ownResume(); err != nil {
		return err
	}
	cfg.OnOrphan, cfg.Replaceable, cfg.Version = f.onOrphan(), true, cli.Version()
	cfg.Detached = r.Detached
	if r.Adopt != "" {
		cfg.ID, cfg.Adopt = r.Adopt, true
	}
	if r.Control != 0 {
		cfg.Control = os.NewFile(uintptr(r.Control), "control")
	}
	switch {
	case r.Detached:
		inherited.Close(parentFD, r.Control) // of what the shell had open, its locks are the worst
		return sidecar(call, r, out, cfg)
	case f.Detach && r.Adopt == "":
		env := supervisor.ChildEnv(nil) // a sidecar is no part of the service that this command may be
		return detach(call, out, places(cfg), resumed{resume: resume{Args: os.Args[1:], Env: env}})
	default:
		return foreground(call, out, cfg)
	}
}

// launchOn launches, and goes on as another program when that is asked for.
func launchOn(call *cli.Call, r role, cfg launch.Config) error {
	cfg.Signals = call.PassOn()
	for {
		err := launch.Run(call.Context, cfg)
		var over *launch.HandedOverError
		if !errors.As(err, &over) {
			return err
		}
		if call.Context.Err() != nil { // a signal came meanwhile, which the next program would not know of
			return launch.StopOrphan(context.WithoutCancel(call.Context), cfg.RuntimeDir, over.ID, launch.StopOptions{})
		}
		r.Adopt, r.Waited = over.ID, true
		cfg.ID, cfg.Adopt, cfg.Control = over.ID, true, over.Control
		failed := become(over, r, cfg.Resume)
		cfg.NotUpgraded = failed.Error()
		cfg.Log.Error("the launcher goes on as it is", "id", cfg.ID, "err", failed)
	}
}

// become replaces this program by another in the same process, and returns when that
// can't be.
func become(over *launch.HandedOverError, r role, said json.RawMessage) error {
	var again resume
	if err := json.Unmarshal(said, &again); err != nil {
		return err
	}
	if over.Control != nil {
		r.Control = int(over.Control.Fd())
		if _, err := unix.FcntlInt(over.Control.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep the control socket open: %w", err)
		}
	}
	argv := append([]string{os.Args[0]}, again.Args...) // by its name it knows which program it is
	if err := syscall.Exec(over.Path, argv, append(again.Env, r.env())); err != nil {
		return fmt.Errorf("run %s: %w", over.Path, err)
	}
	return nil
}

// message is what a sidecar tells its parent.
type message struct {
	Event *launch.Event `json:"event,omitempty"`
	Log   string        `json:"log,omitempty"`
	End   *ended        `json:"end,omitempty"`
}

// ended is how a launch ended that was never ready.
type ended struct {
	Code int    `json:"code"`
	Text string `json:"text"`
}

// parent is a sidecar's line to the command that started it, which goes when it has
// seen enough. One that was stopped (Ctrl-Z) holds up nothing.
type parent struct {
	queue chan message  // nil where nobody listens
	told  chan struct{} // closed when all of it is told
	dir   string

	mu     sync.Mutex
	log    *timberjack.Logger // for what is to be told when the parent is gone
	closed bool
}

const (
	maxUntold   = 1000 // messages that wait for the parent
	maxProgress = 10   // of which so many before progress is left out
)

func newParent(r role, logDir string) *parent {
	p := &parent{dir: logDir, told: make(chan struct{})}
	p.openLog(r.Adopt) // known before there is an event, should that be all there is
	if r.Waited {
		close(p.told)
		return p
	}
	p.queue = make(chan message, maxUntold)
	syscall.CloseOnExec(parentFD)
	go p.run(os.NewFile(parentFD, "parent"))
	return p
}

// run tells what is queued until the parent has gone its way.
func (p *parent) run(f *os.File) {
	defer close(p.told)
	enc := json.NewEncoder(f)
	for m := range p.queue {
		if enc.Encode(m) != nil {
			break
		}
	}
	_ = f.Close()
	for range p.queue { // nobody listens any more
	}
}

func (p *parent) tell(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.queue == nil {
		return
	}
	if m.Event != nil && m.Event.Event == launch.Progress && len(p.queue) >= maxProgress {
		return
	}
	select {
	case p.queue <- m:
	default: // it has not read for a long time
	}
}

// settled is how long after its child is ready a sidecar gives back the memory that the
// start took: it may live for months, beside a hundred others.
const settled = time.Second

// event passes an event on; the first says which file goes on with the log.
func (p *parent) event(e launch.Event) {
	p.tell(message{Event: &e})
	if e.Event == launch.Ready {
		time.AfterFunc(settled, debug.FreeOSMemory)
	}
	p.openLog(e.ID)
}

func (p *parent) openLog(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log == nil && id != "" && p.dir != "" {
		p.log = &timberjack.Logger{
			Filename: logfile.LauncherPath(p.dir, id),
			MaxSize:  1, MaxBackups: 1, FileMode: 0o600, // MB
		}
	}
}

// Write takes what the sidecar logs: to the parent while there is one, to a file of its
// own afterwards.
func (p *parent) Write(text []byte) (int, error) {
	p.tell(message{Log: string(text)})
	p.mu.Lock()
	log := p.log
	p.mu.Unlock()
	if log != nil {
		return log.Write(text)
	}
	return len(text), nil
}

// close tells the rest. A parent that takes nothing is given up after a second.
func (p *parent) close() {
	p.mu.Lock()
	p.closed = true
	if p.queue != nil {
		close(p.queue)
	}
	if p.log != nil {
		_ = p.log.Close()
	}
	p.mu.Unlock()
	limit := time.NewTimer(lastWords)
	defer limit.Stop()
	select {
	case <-p.told:
	case <-limit.C:
	}
}

// sidecar is the launch of a process that nobody watches.
func sidecar(call *cli.Call, r role, out outputFlags, cfg launch.Config) error {
	p := newParent(r, cfg.LogDir)
	defer p.close()
	call.Stderr = p
	cfg.Log = out.logger(call)
	told := cfg.OnEvent
	cfg.OnEvent = func(e launch.Event) {
		p.event(e)
		if told != nil {
			told(e)
		}
	}
	err := launchOn(call, r, cfg)
	text, code := cli.Describe("rbee-launch", explain(err))
	p.tell(message{End: &ended{Code: code, Text: text}})
	if err != nil {
		cfg.Log.Log(call.Context, slog.LevelError, "the launch has ended", "err", err)
	}
	return err
}

// resumed says how a sidecar is started.
type resumed struct {
	resume
	adopt string // the id to take over; "" launches
}

// detach starts a sidecar, shows how it goes until the child is ready and registered,
// and leaves it.
func detach(call *cli.Call, out outputFlags, await int, how resumed) error {
	show := newShow(call, out, await)
	show.detached = true
	defer show.close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	defer r.Close()
	cmd := &exec.Cmd{
		Path: self, Args: append([]string{os.Args[0]}, how.Args...), Dir: how.Dir,
		Env:         append(slices.Clone(how.Env), role{Detached: true, Adopt: how.adopt}.env()),
		ExtraFiles:  []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return fmt.Errorf("start a sidecar: %w", err)
	}
	messages := make(chan message)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(messages)
		for dec := json.NewDecoder(r); ; {
			var m message
			if dec.Decode(&m) != nil {
				return // it ended, or we have seen enough
			}
			messages <- m
		}
	})
	end, err := follow(call, show, cmd, messages)
	_ = r.Close()
	for range messages { // what came meanwhile
	}
	reading.Wait()
	if err != nil || end == nil {
		return err
	}
	_ = cmd.Wait() // it has told its exit code
	show.close()
	if end.Text != "" {
		fmt.Fprint(call.Stderr, end.Text)
	}
	return cli.WithCode(end.Code, nil)
}

// follow shows what a sidecar tells until it has been said that the child is ready; nil
// then. A stop of this command is one of the launch, as long as that is not ready.
func follow(call *cli.Call, show *show, cmd *exec.Cmd, messages <-chan message) (*ended, error) {
	stop, hurry := call.Context.Done(), call.Hurry
	for {
		select {
		case m, more := <-messages:
			switch {
			case !more:
				return nil, cli.WithCode(cli.CodeLaunchFailed, fmt.Errorf("the sidecar, pid %d, died before the child was ready", cmd.Process.Pid))
			case m.End != nil:
				return m.End, nil
			case m.Log != "":
				show.print(call.Stderr, m.Log)
			case m.Event != nil:
				show.event(*m.Event)
			}
		case <-show.saidReady:
			return nil, nil
		case <-stop:
			_ = cmd.Process.Signal(syscall.SIGTERM) // it is our child, and not waited for: the pid is its
			stop = nil
		case <-hurry:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			hurry = nil
		}
	}
}
