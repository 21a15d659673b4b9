package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

func TestDiagnose(t *testing.T) {
	exit := func(code, signal int, early bool) error {
		return &supervisor.ExitError{Name: "w", Exit: guard.Exit{Code: code, Signal: syscall.Signal(signal)}, Early: early}
	}
	for _, test := range []struct {
		name string
		err  error
		code int
		hint string // a part of it
	}{
		{"the child's own code", exit(7, 0, false), 7, ""},
		{"its own code, before it was ready", exit(7, 0, true), 7, ""},
		{"a signal ended it", exit(-1, 9, false), 137, ""},
		{"it ended well", exit(0, 0, false), 0, ""},
		{"it ended well, before it was ready", exit(0, 0, true), 125, "background"},
		{"a stall", &supervisor.NotReadyError{Stalled: true}, 125, "--stall-timeout"},
		{"a start that is too long", &supervisor.NotReadyError{}, 125, "--start-timeout"},
		{"a port that was taken after all", &supervisor.PortTakenError{}, 125, "another port"},
		{"what SIGKILL does not end", &supervisor.SurvivorError{PID: 42}, 125, "/proc/42/stack"},
		{"a taken port", &ports.TakenError{}, 125, "rbee-launch ports"},
		{"a full range", &ports.ExhaustedError{}, 125, "rbee-launch ports"},
		{"an id that is in use", &launch.InUseError{ID: "w"}, 125, "--id"},
		{"no engine", &engines.NotInstalledError{}, 127, "rbee-launch engines"},
		{"no such engine", &engines.UnknownError{}, 2, "rbee-launch engines"},
		{"a model the engine refuses", &engines.ModelError{}, 125, ""},
		{"no program", &exec.Error{Name: "x", Err: exec.ErrNotFound}, 127, "PATH"},
		{"no file", &fs.PathError{Op: "start", Path: "x", Err: fs.ErrNotExist}, 127, "PATH"},
		{"no permission", &fs.PathError{Op: "start", Path: "x", Err: fs.ErrPermission}, 126, "chmod"},
		{"no program's format", &fs.PathError{Op: "start", Path: "x", Err: syscall.ENOEXEC}, 126, "chmod"},
		{"a missing file that is no program", &fs.PathError{Op: "mkdir", Path: "x", Err: fs.ErrNotExist}, 0, ""},
		{"a folder", &fs.PathError{Op: "start", Path: "x", Err: syscall.EISDIR}, 126, "chmod"},
		{"a part that is not ready", &stack.NotUpError{Err: &supervisor.NotReadyError{}}, 125, "--start-timeout"},
		{"a part that crashed", &stack.NotUpError{Err: exit(7, 0, false)}, 125, ""},
		{"a full disk", fmt.Errorf("record the launch x: %w", &fs.PathError{Op: "write", Path: "x.next", Err: syscall.ENOSPC}), 125, "doctor"},
		{"a part that ended", &stack.NotUpError{Err: errors.New("it ended by itself")}, 125, ""},
		{"a part whose port is taken", &stack.NotUpError{Err: &ports.TakenError{}}, 125, "another port"},
		{"anything else", errors.New("else"), 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, hint := diagnose(fmt.Errorf("wrapped: %w", test.err))
			if code != test.code {
				t.Errorf("exit code %d, not %d", code, test.code)
			}
			if !strings.Contains(hint, test.hint) || (test.hint == "") != (hint == "") {
				t.Errorf("hint %q, wanted is one with %q", hint, test.hint)
			}
		})
	}
}

func TestExplainAddsLastLines(t *testing.T) {
	err := explain(&supervisor.ExitError{Name: "w", Exit: guard.Exit{Code: 3}, Early: true, Last: []string{"one", "two"}})
	if want := "exit code 3\nits last lines:\n  one\n  two"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%q does not end with %q", err, want)
	}
	if !cli.HasCode(err) {
		t.Error("it has no exit code")
	}
}
