package launch

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
	"github.com/rbee-launch/rbee-launch/internal/unixsock"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// Status is how a launch stands.
type Status string

// The statuses.
const (
	Starting    Status = "starting"
	IsReady     Status = "ready"
	IsUnhealthy Status = "unhealthy"
	InBackoff   Status = "restarting"
	IsStopping  Status = "stopping"
	IsOrphaned  Status = "orphaned" // its launcher is dead, the child runs on: Config.Adopt
	HasExited   Status = "exited"
)

// Launch is one launch as List shows it.
type Launch struct {
	ID            string    `json:"id"`
	InstanceID    string    `json:"instance_id"`
	Type          string    `json:"type"`
	Model         string    `json:"model"`
	Engine        string    `json:"engine"`
	Status        Status    `json:"status"`
	PID           int       `json:"pid"`            // 0 while nothing runs
	SupervisorPID int       `json:"supervisor_pid"` // the launcher's
	Port          int       `json:"port"`
	URL           string    `json:"url"`
	Restarts      int       `json:"restarts"`
	StartedAt     time.Time `json:"started_at"` // of the present life
	Detached      bool      `json:"detached"`
	SpawnedBy     string    `json:"spawned_by,omitempty"` // Config.SpawnedBy
	Registry      bool      `json:"registry"`             // registered there now
	Queen         bool      `json:"queen"`
}

// follow keeps the picture in step with what happens.
func (s *state) follow(e Event) {
	s.ID, s.InstanceID, s.Port, s.URL = e.ID, e.InstanceID, e.Port, e.URL
	switch e.Event {
	case Leased:
		s.Status = Starting
	case Spawned:
		if s.Status == InBackoff {
			s.Restarts++
		}
		s.Status, s.PID, s.StartedAt, s.WasReady, s.Serves = Starting, e.PID, e.Time, false, ""
		s.Registry, s.Queen = false, false
	case Adopted:
		s.Status, s.PID = Starting, e.PID
		s.Registry, s.Queen = false, false
	case Ready, Healthy:
		s.Status, s.WasReady = IsReady, true
	case Unhealthy:
		s.Status = IsUnhealthy
	case Restarting:
		s.Status, s.PID, s.Child = InBackoff, 0, guard.Process{}
	case Stopping:
		s.Status = IsStopping
	case Exited, Stopped, Failed:
		s.Status, s.PID, s.Child = HasExited, 0, guard.Process{}
		s.Registry, s.Queen = false, false
	}
}

// state is the file of a launch: what List shows of it, and all that is needed to know
// its child again. It is written before the child runs, and at each change.
type state struct {
	Launch
	Boot         string          `json:"boot_id"`
	Launcher     guard.Process   `json:"launcher"`
	Guard        guard.Process   `json:"guard"`
	Cgroup       string          `json:"cgroup,omitempty"` // that of the guard's children
	Child        guard.Process   `json:"child"`            // zero while none runs
	Host         string          `json:"host"`
	LeaseDir     string          `json:"lease_dir,omitempty"`
	OnOrphan     OnOrphan        `json:"on_orphan"`
	Life         int             `json:"life"`
	WasReady     bool            `json:"was_ready"`        // the present life
	Serves       string          `json:"serves,omitempty"` // the model's name as it was registered for the present life
	StopSignal   int             `json:"stop_signal"`
	SecondSignal int             `json:"second_signal"`
	GraceMS      int64           `json:"grace_ms"`
	Log          string          `json:"log,omitempty"`
	Resume       json.RawMessage `json:"resume,omitempty"` // Config.Resume
}

func readState(base string) (state, error) {
	var s state
	body, err := readWhole(base + stateExt)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("%s: %w", base+stateExt, err)
	}
	if s.ID == "" {
		return s, fmt.Errorf("%s: it is not whole", base+stateExt)
	}
	return s, nil
}

// standing is what there is of a launch.
type standing string

const (
	alive    standing = "alive"
	ending   standing = "ending"   // its launcher is dead, and its guard takes it down
	orphaned standing = "orphaned" // its launcher is dead, and its guard keeps it
	dead     standing = "dead"     // nobody has it
)

// facts are what standing goes by.
type facts struct {
	boot     string // this one
	locked   bool   // the record's lock is held
	launcher bool   // lives
	guard    bool   // lives
}

// look gathers the facts about a state. A launcher that could not write down that it has
// taken over (the disk was full) is known by its listening where commands are taken: the
// state then names that one.
func look(base string, s *state) facts {
	f := facts{boot: guard.Boot(), locked: locked(base), launcher: s.Launcher.Alive(), guard: s.Guard.Alive()}
	if !f.launcher && f.locked && s.Boot == f.boot {
		if pid, err := unixsock.ListenerPID(base + sockExt); err == nil && pid != 0 {
			next := guard.Find(pid)
			if f.launcher = next.Alive(); f.launcher {
				s.Launcher, s.SupervisorPID = next, pid
			}
		}
	}
	return f
}

// hasLauncher reports whether the launcher that a state names lives.
func (s state) hasLauncher() bool { return s.Boot == guard.Boot() && s.Launcher.Alive() }

// locked reports whether anybody holds the lock of a record.
func locked(base string) bool {
	lock, err := lockfile.Try(base+lockExt, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err == nil {
		_ = lock.Unlock()
	}
	return errors.Is(err, lockfile.ErrLocked)
}

// standing judges. The lock alone says whether somebody has the launch: pids are
// another's after a while.
func (s state) standing(f facts) standing {
	switch {
	case !f.locked, s.Boot != f.boot:
		return dead
	case f.launcher:
		return alive
	case f.guard && s.OnOrphan == KeepOrphan:
		return orphaned
	default:
		return ending
	}
}

// obituary says why a launch is dead.
func (s state) obituary(f facts) string {
	switch {
	case s.Boot != f.boot:
		return "it is of the time before this machine was last started"
	case s.Child.Alive():
		return fmt.Sprintf("its launcher and its guard were killed together; its child, pid %d, was left", s.Child.PID)
	case s.Child.Replaced():
		return fmt.Sprintf("its launcher and its guard were killed; pid %d is another program now", s.Child.PID)
	default:
		return "its launcher and its guard were killed"
	}
}

// reclaim ends what a dead launch has left, as far as that can be proved.
func (s state) reclaim() error {
	if s.Guard == (guard.Process{}) {
		return nil // it never got to start anything
	}
	_, err := guard.Reclaim(guard.Traces{Boot: s.Boot, Guard: s.Guard, Child: s.Child, Cgroup: s.Cgroup})
	if errors.Is(err, guard.ErrGuarded) {
		return nil // the guard has given the record back, and is about to end
	}
	return err
}
