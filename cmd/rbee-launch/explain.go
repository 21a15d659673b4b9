package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// explain gives a failed launch its exit code, the child's last words and a hint. An
// error that has a code already is a usage error, or explained where it arose. It is nil
// for nil.
func explain(err error) error {
	code, hint := diagnose(err)
	if last := launch.LastLines(err); len(last) > 0 {
		err = fmt.Errorf("%w\nits last lines:\n  %s", err, plainLines(strings.Join(last, "\n  ")))
	}
	if hint != "" && !cli.HasHint(err) {
		err = cli.WithHint(err, "%s", hint)
	}
	if code != 0 && !cli.HasCode(err) {
		err = cli.WithCode(code, err)
	}
	return err
}

// diagnose is the table of what can go wrong with a launch. Code 0 leaves it open.
func diagnose(err error) (code int, hint string) {
	var (
		exit      *supervisor.ExitError
		late      *supervisor.NotReadyError
		taken     *supervisor.PortTakenError
		survivor  *supervisor.SurvivorError
		port      *ports.TakenError
		exhausted *ports.ExhaustedError
		inUse     *launch.InUseError
		missing   *engines.NotInstalledError
		unknown   *engines.UnknownError
		model     *engines.ModelError
		notUp     *stack.NotUpError
	)
	if errors.As(err, &notUp) {
		// Not the part's own exit code: 'run' passes on that of its command.
		code, hint = diagnose(notUp.Err)
		if errors.As(err, &exit) || code == 0 {
			code = cli.CodeLaunchFailed
		}
		return code, hint
	}
	switch {
	case errors.As(err, &exit):
		return diagnoseExit(exit)
	case errors.As(err, &late) && late.Stalled:
		return cli.CodeLaunchFailed, "--stall-timeout gives it more time; the --health flags of 'exec' say what ready means"
	case errors.As(err, &late):
		return cli.CodeLaunchFailed, "--start-timeout gives it more time"
	case errors.As(err, &taken):
		return cli.CodeLaunchFailed, "choose another port, --help says how; 'rbee-launch ports' shows who holds what"
	case errors.As(err, &survivor):
		return cli.CodeLaunchFailed, fmt.Sprintf("see what pid %d waits for: cat /proc/%[1]d/stack", survivor.PID)
	case errors.As(err, &port), errors.As(err, &exhausted):
		return cli.CodeLaunchFailed, "choose another port, --help says how; 'rbee-launch ports' shows who holds what"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return cli.CodeLaunchFailed, "make room there; 'rbee-launch doctor' shows which folders are full, and how to take others"
	case errors.As(err, &inUse):
		return cli.CodeLaunchFailed, "--id gives this one another; 'rbee-launch ps' shows what is launched"
	case errors.As(err, &missing):
		return cli.CodeNotFound, "'rbee-launch engines' shows what is installed"
	case errors.As(err, &unknown):
		return cli.CodeUsage, "'rbee-launch engines' shows what there is"
	case errors.As(err, &model):
		return cli.CodeLaunchFailed, "" // it says itself what to do
	case isStart(err) && (errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)):
		return cli.CodeNotFound, "give the program's path, or put it on PATH"
	case isStart(err) && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.EISDIR)):
		return cli.CodeNotExecutable, "is it a program, and may you run it? chmod +x FILE makes it one"
	default:
		return 0, ""
	}
}

// isStart reports whether err is the system's word on a program that was to be
// started: a missing file elsewhere is another matter.
func isStart(err error) bool {
	var look *exec.Error
	var start *fs.PathError
	return errors.As(err, &look) || (errors.As(err, &start) && start.Op == "start")
}

func diagnoseExit(e *supervisor.ExitError) (code int, hint string) {
	code = e.Exit.ShellCode()
	if !e.Early {
		return code, ""
	}
	if code == 0 {
		return cli.CodeLaunchFailed, "if it goes to the background by itself, tell it not to (nginx: -g 'daemon off;')"
	}
	return code, ""
}
