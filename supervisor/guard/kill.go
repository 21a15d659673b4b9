package guard

import (
	"os"
	"syscall"
	"time"
)

// kill ends processes of the guard's tree. The groups of its own children go as a
// whole: a member that forks just now can't get away, and until the child is reaped
// the number of its group can't be another's.
func kill(tree []process) {
	for _, p := range tree {
		if p.parent == os.Getpid() {
			signalGroup(p.group, syscall.SIGKILL)
		}
		signalExactly(p.identity, syscall.SIGKILL)
	}
}

// killStrays ends the orphans that could be laid at no child's door.
func (m *minder) killStrays() {
	for end := time.Now().Add(killLimit); m.strays() && time.Now().Before(end); {
		for line := range m.lineages() {
			kill(line)
		}
		m.reap()
		time.Sleep(time.Millisecond) // SIGKILL takes effect when the kernel gets to it
	}
}

// signalGroup reaches the child's process group; SIGCONT follows, because a
// stopped process acts on nothing else but SIGKILL.
func signalGroup(pid int, sig syscall.Signal) {
	if pid <= 1 {
		return // -1 would be everybody
	}
	_ = syscall.Kill(-pid, sig) // ESRCH: gone already, which is what was wanted
	if sig != syscall.SIGKILL && sig != syscall.SIGSTOP {
		_ = syscall.Kill(-pid, syscall.SIGCONT)
	}
}
