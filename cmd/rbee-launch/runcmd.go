package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

type runCmd struct {
	Command []string `arg:"" help:"The command and its arguments, after '--'." placeholder:"COMMAND"`
	stackFlags
}

// Validate is called by kong.
func (c *runCmd) Validate() error { return c.check() }

// Run brings up a stack on ports of its own, runs the command against it, takes the
// stack down and passes the command's exit code on.
func (c *runCmd) Run(call *cli.Call) error {
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		return fmt.Errorf("run: %w", err) // before a stack is brought up for nothing
	}
	cfg, show, err := c.config(call, call.Stderr) // stdout is the command's
	if err != nil {
		return err
	}
	defer show.close()
	err = stack.Run(call.Context, cfg, func(ctx context.Context, up stack.Up) error {
		return c.command(ctx, call, show, path, up)
	})
	if call.Context.Err() != nil && errors.Is(err, context.Canceled) {
		return cli.WithCode(cli.CodeLaunchFailed, errors.New("stopped before the stack was up: the command did not run"))
	}
	return err
}

// command runs below the stack's guard, so that it ends with us however we end.
func (c *runCmd) command(ctx context.Context, call *cli.Call, show *stackShow, path string, up stack.Up) error {
	signals := call.PassOn()
	child, err := up.Guard.Spawn(context.WithoutCancel(ctx), guard.Command{
		Path: path, Args: c.Command, Env: commandEnv(up),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	if err != nil {
		return err
	}
	untilDown, down := context.WithCancel(context.WithoutCancel(ctx))
	var passing sync.WaitGroup
	passing.Go(func() { child.PassOn(untilDown, signals) })
	defer passing.Wait()
	defer down()
	select {
	case <-child.Exited():
	case <-ctx.Done():
	}
	// What it left in the background goes, too.
	took, err := c.end(call).Down(child, c.Command[0])
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		show.commandEnded(launch.Event{ID: c.Command[0], PID: child.PID(), Stop: launch.StopReportOf(took)})
	}
	if cause := context.Cause(ctx); ctx.Err() != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if code := child.Exit().ShellCode(); code != 0 {
		return cli.WithCode(code, nil)
	}
	return nil
}

// end passes on to the command the signal that we got: it may make something else of
// Ctrl-C than of SIGTERM.
func (c *runCmd) end(call *cli.Call) supervisor.Ladder {
	way := supervisor.Ladder{Grace: given(c.Grace), Leader: true, Hurry: call.Hurry}
	if sig, ok := call.Signal().(syscall.Signal); ok {
		way.Signal = sig
	}
	if way.Signal == syscall.SIGINT {
		way.Second = syscall.SIGTERM // shells have what runs in the background ignore SIGINT
	}
	return way
}

// commandEnv tells the command where everything is.
func commandEnv(up stack.Up) []string {
	env := append(supervisor.ChildEnv(nil),
		"RBEE_REGISTRY_URL="+up.Registry.URL,
		"RBEE_QUEEN_URL="+up.Queen.URL,
		"RBEE_WORKER_URL="+up.Worker.URL,
		"RBEE_WORKER_MODEL="+up.Model, // RBEE_MODEL would be a flag of ours
		"OPENAI_BASE_URL="+up.Worker.URL+"/v1",
	)
	if os.Getenv("OPENAI_API_KEY") == "" {
		env = append(env, "OPENAI_API_KEY=none") // OpenAI's clients insist on one
	}
	return env
}
