package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// condition answers what a story asks: [pidns] is whether containers of contain's are to
// be had. In CI they have to be.
func condition(name string) (bool, error) {
	if name != "pidns" {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	if os.Getenv("RBEE_CI") == "1" {
		return true, nil
	}
	return isolate(exec.Command("true")).Run() == nil, nil
}

// contain starts a process as start does, as PID 1 of a namespace that shares all but
// processes with the machine; the variable gets its pid on the outside, which nsenter
// takes: contain NAME VARIABLE PROGRAM ARGUMENTS.
func (s *story) contain(ts *testscript.TestScript, _ bool, args []string) {
	const ownProc = `mount --make-rprivate / && mount -t proc proc /proc && exec "$@"`
	s.begin(ts, args[0], isolate(s.command(ts, append([]string{"sh", "-c", ownProc, "-"}, args[2:]...))))
	ts.Setenv(args[1], strconv.Itoa(s.started[args[0]].cmd.Process.Pid))
}

func isolate(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	return cmd
}
