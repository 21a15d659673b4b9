package guard

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// heir ends what a dead guard's children left to the program, which is a subreaper too.
// On systems without subreapers only the groups are known.
type heir struct {
	guard   identity
	orphans map[uint64]*Child
	known   map[identity]bool // seen as ours: one that is a zombie by now can't be told any more
	before  []identity        // what was unknown at the last look
}

// inherit kills what a dead guard left behind and waits for its end, for killLimit at
// most. The error wraps ErrGuardDied in any case, and says what did not end.
func inherit(guard identity, orphans map[uint64]*Child) error {
	if len(orphans) == 0 {
		return ErrGuardDied
	}
	h := heir{guard: guard, orphans: orphans, known: map[identity]bool{}}
	for _, c := range orphans {
		c.cgroup.kill()
		if c.pid != 0 && startTime(c.pid) == c.start {
			signalGroup(c.pid, syscall.SIGKILL)
		}
	}
	end := time.Now().Add(killLimit)
	for quiet := 0; quiet < 2; {
		left, settled := h.look()
		switch {
		case len(left) == 0 && settled && !h.populated():
			quiet++
		case time.Now().After(end):
			return fmt.Errorf("%w, and SIGKILL did not end pid %v of those it left", ErrGuardDied, left)
		default:
			quiet = 0
		}
		time.Sleep(time.Millisecond) // SIGKILL takes effect when the kernel gets to it
	}
	for _, c := range orphans {
		c.cgroup.remove()
		c.cgroup.home().remove()
	}
	return ErrGuardDied
}

// look kills what it finds, at once and the latest first as survey does, reaps what it
// may, and returns the rest. It is settled when nothing is new that it can't place: a
// zombie that has just come may have passed its place on to another process, and who
// executes a program shows no mark. Not all zombies are ours to reap here.
func (h *heir) look() (left []int, settled bool) {
	settled = true
	var unknown []identity
	for line := range lineages(os.Getpid()) {
		child := line[0]
		ours, sure := h.owns(child)
		switch {
		case ours:
			left = append(left, h.end(line)...)
		case child.zombie:
			unknown = append(unknown, child.identity)
		case !sure:
			settled = false
		}
	}
	for _, c := range h.orphans { // of a guard that was adopted another is the heir
		if (Process{c.pid, c.start}).Alive() && !slices.Contains(left, c.pid) {
			left = append(left, c.pid)
		}
	}
	slices.SortFunc(unknown, func(a, b identity) int { return cmp.Compare(a.pid, b.pid) })
	settled = settled && slices.Equal(unknown, h.before)
	h.before = unknown
	return left, settled
}

// end kills a child of this process and all below it, reaps the child if it can, and
// returns who is left.
func (h *heir) end(line []process) (left []int) {
	kill(line)
	for _, p := range line {
		h.known[p.identity] = true
		if p.parent == os.Getpid() {
			if pid, _ := syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil); pid == p.pid {
				continue
			}
		}
		left = append(left, p.pid)
	}
	return left
}

// owns tells what the guard's children left by what was seen before, by their session or
// group, by their cgroup and by their mark.
func (h *heir) owns(p process) (ours, sure bool) {
	if h.known[p.identity] {
		return true, true
	}
	for _, c := range h.orphans {
		// A session outside our PID namespace reads as 0, so a child that never
		// started must match nothing.
		if c.pid != 0 && (p.session == c.pid || p.group == c.pid) {
			return true, true
		}
	}
	id, found := childIn(p.pid, h.guard)
	if !found {
		id, sure = markedBy(p.pid, h.guard)
	}
	_, ours = h.orphans[id]
	return ours, sure || ours
}

func (h *heir) populated() bool {
	for _, c := range h.orphans {
		if c.cgroup.populated() {
			return true
		}
	}
	return false
}
