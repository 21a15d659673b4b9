package guard

import (
	"os"
	"syscall"
)

// Process names a process for good: a later one of the same pid has another start time.
type Process struct {
	PID   int   `json:"pid"`
	Start int64 `json:"start"` // in the system's own unit (Linux: clock ticks since boot)
}

// Self is the calling process.
func Self() Process { return Process{os.Getpid(), startTime(os.Getpid())} }

// Find is the process that has this pid now; none is Alive when there is none.
func Find(pid int) Process { return Process{pid, startTime(pid)} }

// Alive reports whether the process still runs; one that has ended and was not reaped
// does not.
func (p Process) Alive() bool {
	now, ok := readProcess(p.PID)
	return ok && p.PID > 0 && now.start == p.Start && !now.zombie
}

// Replaced reports whether another process has the pid by now.
func (p Process) Replaced() bool {
	now, ok := readProcess(p.PID)
	return ok && p.PID > 0 && now.start != p.Start
}

// Kill sends SIGKILL to this process, and to no later one of the same pid. It does not
// wait.
func (p Process) Kill() { signalExactly(p.identity(), syscall.SIGKILL) }

// Wake has this process go on, should it have been stopped (SIGSTOP).
func (p Process) Wake() { signalExactly(p.identity(), syscall.SIGCONT) }

func (p Process) identity() identity { return identity{p.PID, p.Start} }

func (who identity) process() Process { return Process{who.pid, who.start} }
