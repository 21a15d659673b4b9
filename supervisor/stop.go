package supervisor

import (
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

const (
	killLimit = 10 * time.Second // for SIGKILL to empty a tree
	// insistence is the part of a grace period that is left after the second signal, or
	// half of it where that is less: time to end at once in good order, taken from the
	// end, so that whoever gives a minute for draining has most of a minute.
	insistence = 5 * time.Second
	// parting is how long what ends with its parent may take to do so.
	parting = 10 * time.Millisecond
	// lookAround is how often a tree without its leader is looked at.
	lookAround = 50 * time.Millisecond
)

// Ladder is how a child is asked to end, and what follows when it does not.
type Ladder struct {
	// Signal asks the child's process group to end; SIGTERM when zero.
	Signal syscall.Signal
	// Second insists, 5 s before the end of Grace, or after half of it where that is
	// later; SIGINT when zero, which servers that drain take for "at once".
	Second syscall.Signal
	// Grace is the time from Signal to SIGKILL, which goes to the whole tree; 10 s when
	// zero, none when negative.
	Grace time.Duration
	// Leader has SIGKILL sent as soon as the child itself has ended. Otherwise those of
	// its process group, who heard the signal too, have the rest of the time.
	Leader bool
	// Hurry, when closed, has SIGKILL sent at once.
	Hurry <-chan struct{}
}

// Stop is what it took to end a child and all that it started.
type Stop struct {
	Sent     []Sent        // the signals, in their order
	Took     time.Duration // from the first of them until the last process was gone
	Laggards []Process     // what still ran when SIGKILL had to be sent
}

// Sent is a signal that a child was sent.
type Sent struct {
	Signal syscall.Signal
	After  time.Duration // since the first one
}

// Down ends the child with everything below it and says what that took: nil when
// nothing had to be done. What a child that ended by itself left behind is killed at
// once, since it may hold the port or the memory that the next life needs. The error
// is a *SurvivorError, which calls the child by name.
func (l Ladder) Down(child *guard.Child, name string) (*Stop, error) {
	l = l.withDefaults()
	d := &descent{child: child, name: name, began: time.Now()}
	select {
	case <-child.Exited():
		stop, err := d.sweep()
		if stop != nil && len(stop.Laggards) == 0 {
			stop = nil // what was left went by itself while we looked
		}
		return stop, err
	default:
	}
	if l.Grace < 0 {
		return d.kill() // nobody was asked, so nobody lags
	}
	d.send(l.Signal)
	second := time.NewTimer(l.Grace - min(l.Grace/2, insistence))
	defer second.Stop()
	last := time.NewTimer(l.Grace)
	defer last.Stop()
	exited := child.Exited()
	look := time.NewTicker(time.Hour)
	defer look.Stop()
	for {
		select {
		case <-child.Gone():
			return d.down()
		case <-second.C:
			d.send(l.Second)
		case <-last.C:
			return d.killLaggards()
		case <-l.Hurry:
			return d.killLaggards()
		case <-exited:
			if l.Leader {
				return d.sweep()
			}
			exited = nil
			look.Reset(lookAround)
		case <-look.C:
			if d.deafAlone() {
				return d.killLaggards()
			}
		}
	}
}

func (l Ladder) withDefaults() Ladder {
	if l.Signal == 0 {
		l.Signal = syscall.SIGTERM
	}
	if l.Second == 0 {
		l.Second = syscall.SIGINT
	}
	if l.Grace == 0 {
		l.Grace = 10 * time.Second
	}
	return l
}

// descent is one way down the ladder.
type descent struct {
	child *guard.Child
	name  string
	began time.Time
	stop  Stop
}

func (d *descent) send(sig syscall.Signal) {
	d.note(sig)
	_ = d.child.Signal(sig) // a dead guard shows as Gone
}

func (d *descent) note(sig syscall.Signal) {
	var after time.Duration
	if len(d.stop.Sent) > 0 {
		after = time.Since(d.began)
	}
	d.stop.Sent = append(d.stop.Sent, Sent{Signal: sig, After: after})
}

// deafAlone reports whether all that is left is outside the child's process group,
// where no signal but SIGKILL gets.
func (d *descent) deafAlone() bool {
	left := d.child.Pids()
	for _, pid := range left {
		if group, err := syscall.Getpgid(pid); err == nil && group == d.child.PID() {
			return false
		}
	}
	return len(left) > 0
}

// sweep kills what a child that has ended left behind, if it did.
func (d *descent) sweep() (*Stop, error) {
	limit := time.NewTimer(parting)
	defer limit.Stop()
	select {
	case <-d.child.Gone():
		return d.down()
	case <-limit.C:
		return d.killLaggards()
	}
}

func (d *descent) killLaggards() (*Stop, error) {
	d.stop.Laggards = processes(d.child.Pids())
	return d.kill()
}

func (d *descent) kill() (*Stop, error) {
	d.note(syscall.SIGKILL)
	if err := empty(d.child, d.name); err != nil {
		return &d.stop, err
	}
	return d.down()
}

func (d *descent) down() (*Stop, error) {
	if len(d.stop.Sent) == 0 {
		return nil, nil
	}
	d.stop.Took = time.Since(d.began)
	return &d.stop, nil
}

// empty kills what is left of a child's tree.
func empty(child *guard.Child, name string) error {
	_ = child.Kill() // a dead guard shows as Gone
	limit := time.NewTimer(killLimit)
	defer limit.Stop()
	select {
	case <-child.Gone():
		return nil
	case <-limit.C:
		return &SurvivorError{Name: name, PID: child.PID(), Left: processes(child.Pids())}
	}
}
