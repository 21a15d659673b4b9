//go:build !linux

package guard

import (
	"errors"
	"syscall"
)

func cgroupFolder() (string, error) { return "", errors.New("this system has no cgroups") }

func cgroupPath(int) string { return "" }

// forkInto is never called, since no cgroup can be made.
func forkInto(_ cgroup, path string, args []string, attr *syscall.ProcAttr) (int, error) {
	return syscall.ForkExec(path, args, attr)
}
