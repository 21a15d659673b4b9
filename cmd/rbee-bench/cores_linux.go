package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownCores are those that this process may run on.
func ownCores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cores []int
	for i := range len(set) * strconv.IntSize {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores
}

func setOf(cores []int) *unix.CPUSet {
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	return &set
}

// startOn starts cmd on these cores alone, to die with this process. A child has its
// cores from the thread that makes it. The signal of its death comes when that thread
// ends, and one that was unlocked goes back to the runtime, which keeps it.
func startOn(cores []int, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if len(cores) == 0 {
		return cmd.Start()
	}
	limitCores(cores, cmd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, setOf(cores)); err != nil {
		return err
	}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &before); err == nil && back != nil {
		_ = cmd.Process.Kill() // or the generator would share the server's cores from here on
		_ = cmd.Wait()
		err = back
	}
	return err
}

// stayOn keeps this process to these cores: each of its threads, and with them those
// that they will make.
func stayOn(cores []int) error {
	if len(cores) == 0 {
		return nil
	}
	runtime.GOMAXPROCS(len(cores))
	done := map[string]bool{}
	for more := true; more; {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		more = false
		for _, t := range threads {
			if done[t.Name()] {
				continue
			}
			done[t.Name()], more = true, true
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(tid, setOf(cores)); err != nil && err != unix.ESRCH {
				return fmt.Errorf("stay on cores %v: %w", cores, err)
			}
		}
	}
	return nil
}
