package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
)

// A detached launch runs in a sidecar: this program once more, with the same command
// line, in a session of its own.

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

// keep launches a child as the flags and the role say: in the foreground, in a sidecar
// that is started, or as that sidecar.
func keep(call *cli.Call, f sidecarFlags, out outputFlags, cfg launch.Config) error {
	role, err := sidecar.TakeRole()
	if err != nil {
		return err
	}
	cfg.OnOrphan, cfg.Version = f.onOrphan(), cli.Version()
	if f.Detach && role == (sidecar.Role{}) {
		return detach(call, out, places(cfg), sidecar.Command{Argv: os.Args})
	}
	cfg.Signals = call.PassOn()
	o := sidecar.Options{Role: role, Program: ownName, Config: cfg}
	if !role.Detached {
		return foreground(call, out, o)
	}
	o.Logger = func(w io.Writer) *slog.Logger { return out.loggerTo(w) }
	o.Describe = func(err error) (int, string) {
		text, code := cli.Describe(ownName, explain(err))
		return code, text
	}
	return sidecar.Run(call.Context, o)
}

// successor is the file of the program that is to go on with a launch: this one, or
// another of ours that launched it.
func successor(said sidecar.Resume) (string, error) {
	self, err := os.Executable()
	if err != nil || said.Program == ownName {
		return self, err
	}
	path, err := launch.FindOwn(said.Program)
	if err == nil && path == self && !program.Knows(said.Program) {
		err = fmt.Errorf("%s, which launched it, is neither beside this program nor in PATH", said.Program)
	}
	return path, err
}

// detach starts a sidecar, shows how it goes until the child is ready and registered,
// and leaves it.
func detach(call *cli.Call, out outputFlags, await int, how sidecar.Command) error {
	show := newShow(call, out, await)
	show.detached = true
	defer show.close()
	p, err := sidecar.Start(how)
	if err != nil {
		return err
	}
	end, err := follow(call, show, p)
	p.Leave()
	if err != nil || end == nil {
		return err
	}
	<-p.Exited()
	show.close()
	if end.Text != "" {
		fmt.Fprint(call.Stderr, end.Text)
	}
	return cli.WithCode(end.Code, nil)
}

// follow shows what a sidecar tells until it has been said that the child is ready; nil
// then. A stop of this command is one of the launch, as long as that is not ready.
func follow(call *cli.Call, show *show, p *sidecar.Process) (*sidecar.Ended, error) {
	stop, hurry := call.Context.Done(), call.Hurry
	for {
		select {
		case m, more := <-p.Messages():
			switch {
			case !more:
				return nil, cli.WithCode(cli.CodeLaunchFailed, fmt.Errorf("the sidecar, pid %d, died before the child was ready", p.PID()))
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
			p.Stop()
			stop = nil
		case <-hurry:
			p.Stop()
			hurry = nil
		}
	}
}
