package guard

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// reclaiming is one call of Reclaim.
type reclaiming struct {
	Traces
	killed  map[identity]Killed // or about to be
	zombies map[identity]bool   // seen so far
	veiled  map[identity]bool   // could not be told at the last look
}

// glance is what one look shows.
type glance struct {
	found  []process // the living that are to be reclaimed
	missed bool      // somebody came, went or could not be told: there may be more
	veiled bool      // somebody can't be told for the second time: it may be one of ours
}

// A machine on which processes come and go is watched for one of ours among them by so
// many looks at least, and for so long: who forks and ends is there for some microseconds,
// and most looks miss it. Who stays veiled is waited for twice as long: on a busy machine
// the execution of a program can take dozens of looks, and so can the last steps of who
// was killed.
const (
	manyLooks = 25
	settling  = time.Second
)

// run looks until nobody is found any more. It stops whom it finds before it kills
// them: the dead are nobody's parents, and what they started could not be told any more.
func (r *reclaiming) run() error {
	if err := r.checkSelf(); err != nil {
		return err
	}
	group, began := cgroup(r.Cgroup), time.Now()
	group.freeze() // or who forks and ends all the time would be killed unseen
	for quiet, looks := 0, 0; quiet < 2; looks++ {
		before := len(r.killed)
		now := r.look()
		waited := time.Since(began)
		settled := !now.missed || looks > manyLooks && (waited > settling && !now.veiled || waited > 2*settling)
		switch {
		case len(now.found) == 0 && !group.populated() && settled:
			quiet++
		case waited > killLimit:
			return fmt.Errorf("SIGKILL did not end pid %v, or what is in cgroup %q, in %s", pidsOf(now.found), group, killLimit)
		case len(r.killed) > before: // whom they had started shows at the next look
			quiet = 0
		default:
			quiet = 0
			group.kill()
			for _, p := range now.found {
				signalExactly(p.identity, syscall.SIGKILL)
			}
		}
		time.Sleep(time.Millisecond) // a signal takes effect when the kernel gets to it
	}
	group.remove()
	if r.Number != 0 {
		_ = os.Remove(string(group.home())) // which stays while there are others below
	}
	return nil
}

// checkSelf refuses to end the process that runs this.
func (r *reclaiming) checkSelf() error {
	for p, ok := readProcess(os.Getpid()); ok && p.pid > 1; p, ok = readProcess(p.parent) {
		if ours, _ := r.owns(p); ours {
			return fmt.Errorf("this process comes from there itself, by pid %d", p.pid)
		}
	}
	return nil
}

// stop stops one that was not stopped before.
func (r *reclaiming) stop(p process) {
	if _, known := r.killed[p.identity]; !known {
		signalExactly(p.identity, syscall.SIGSTOP)
		r.killed[p.identity] = Killed{PID: p.pid, Command: commandLine(p.pid)}
	}
}

// look looks at the latest first and stops ours at once, as survey kills. Who has ended
// meanwhile may have started another.
func (r *reclaiming) look() (now glance) {
	pids := allPids()
	slices.Sort(pids)
	table, ours, veiled := map[int]process{}, map[int]bool{}, map[identity]bool{}
	for _, pid := range slices.Backward(pids) {
		p, ok := readProcess(pid)
		if !ok {
			now.missed = true
			continue
		}
		yes, sure := r.owns(p)
		switch {
		case !sure:
			veiled[p.identity] = true
			now.missed = true
			now.veiled = now.veiled || r.veiled[p.identity]
		case yes && p.zombie:
			r.reap(p)
		case yes:
			r.stop(p)
			ours[pid] = true
		case p.zombie && !r.zombies[p.identity]:
			r.zombies[p.identity] = true
			now.missed = true
		}
		table[pid] = p
	}
	for pid, p := range table {
		if !p.zombie && (ours[pid] || isBelow(p, ours, table)) {
			r.stop(p)
			now.found = append(now.found, p)
		}
	}
	r.veiled = veiled
	return now
}

// reap takes the zombie off the table, should this process have inherited it.
func (r *reclaiming) reap(p process) {
	if p.parent == os.Getpid() {
		_, _ = syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
	}
}

// owns says whether a process is provably one of those that are reclaimed.
func (r *reclaiming) owns(p process) (yes, sure bool) {
	if _, known := r.killed[p.identity]; known {
		return true, true
	}
	if p.start < max(r.Child.Start, r.Guard.Start) {
		return false, true // it is older than that
	}
	if r.inSession(p) {
		return true, true
	}
	if id, found := childIn(p.pid, r.Guard.identity()); found {
		return r.means(id), true
	}
	if p.zombie {
		return false, true
	}
	id, sure := markedBy(p.pid, r.Guard.identity())
	return id != 0 && r.means(id), sure
}

// inSession tells the child, and its session and group as long as it is there itself:
// later their number may be another's.
func (r *reclaiming) inSession(p process) bool {
	leader := r.Child.PID
	if leader <= 1 || (p.pid != leader && p.session != leader && p.group != leader) {
		return false
	}
	return startTime(leader) == r.Child.Start
}

// means reports whether the child of this number is to be reclaimed.
func (r *reclaiming) means(child uint64) bool { return r.Number == 0 || r.Number == child }

func pidsOf(list []process) []int {
	pids := make([]int, len(list))
	for i, p := range list {
		pids[i] = p.pid
	}
	slices.Sort(pids)
	return pids
}
