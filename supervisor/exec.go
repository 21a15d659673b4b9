package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// Exec passes when the command ends with exit code 0. It runs below the child's guard:
// what it leaves behind, or is when its time is up, is killed. env is its whole
// environment; this process's own when nil. See ChildEnv.
func Exec(argv, env []string) Probe {
	return Probe{
		Name: "run " + strings.Join(argv, " "),
		Check: func(ctx context.Context, c Child) error {
			path, err := exec.LookPath(argv[0])
			if err != nil {
				return Fatal(err)
			}
			exit, said, err := c.run(ctx, guard.Command{Path: path, Args: argv, Env: ChildEnv(env)})
			if err != nil {
				return err
			}
			if exit.ShellCode() != 0 {
				return fmt.Errorf("%s: %s", exit, said)
			}
			return nil
		},
	}
}

const (
	maxSaid   = 200                    // of a probe's output is worth repeating, in bytes
	heldLimit = 200 * time.Millisecond // for the last output of a probe's command
)

// run runs a command beside the child, to its end or that of ctx, and gives the
// beginning of what it printed.
func (c Child) run(ctx context.Context, cmd guard.Command) (exit guard.Exit, said string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return exit, "", err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	child, err := c.guard.Spawn(ctx, cmd)
	_ = w.Close()
	if err != nil {
		return exit, "", err
	}
	var begun bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.CopyN(&begun, r, maxSaid) // only for the message
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case <-child.Exited():
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err := errors.Join(err, empty(child, cmd.Path)); err != nil {
		_ = r.SetReadDeadline(time.Now())
		<-read
		return exit, "", err
	}
	_ = r.SetReadDeadline(time.Now().Add(heldLimit)) // somebody outside the tree may hold it
	<-read
	return child.Exit(), strings.TrimSpace(begun.String()), nil
}
