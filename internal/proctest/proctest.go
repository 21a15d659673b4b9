package proctest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// patience is far more than a busy machine takes to stop a process.
const patience = time.Minute

// Signal sends a process a signal. After SIGSTOP it returns when none of its threads runs
// any more: until the one that takes the signal gets to run the others go on, and may
// still answer. Where there is no /proc it returns at once.
func Signal(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(pid, sig); err != nil || sig != syscall.SIGSTOP {
		return err
	}
	for limit := time.Now().Add(patience); runs(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			return fmt.Errorf("pid %d still runs, %v after it was told to stop", pid, patience)
		}
	}
	return nil
}

// runs reports whether a thread of a process is in another state than stopped or ended.
func runs(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	return slices.ContainsFunc(threads, func(file string) bool {
		status, err := os.ReadFile(file)
		if err != nil {
			return false // it has ended
		}
		_, state, _ := bytes.Cut(status, []byte("\nState:\t"))
		return !bytes.ContainsAny(state[:min(len(state), 1)], "TtZX")
	})
}

// Mentioned reports whether the arguments of any process contain the text. Where there is
// no /proc they never do.
func Mentioned(text string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	return slices.ContainsFunc(lines, func(file string) bool {
		line, err := os.ReadFile(file)
		return err == nil && bytes.Contains(line, []byte(text))
	})
}
