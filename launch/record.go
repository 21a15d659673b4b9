package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Status is how a launch stands.
type Status string

// The statuses. Orphaned is for launches whose launcher is gone, which do not
// exist yet: a child dies with its launcher.
const (
	Starting    Status = "starting"
	IsReady     Status = "ready"
	IsUnhealthy Status = "unhealthy"
	InBackoff   Status = "restarting"
	IsStopping  Status = "stopping"
	Ended       Status = "exited"
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
	Registry      bool      `json:"registry"` // registered there now
	Queen         bool      `json:"queen"`
}

// follow keeps the picture in step with what happens.
func (s *Launch) follow(e Event) {
	s.ID, s.InstanceID, s.Port, s.URL = e.ID, e.InstanceID, e.Port, e.URL
	switch e.Event {
	case Leased:
		s.Status = Starting
	case Spawned:
		if s.Status == InBackoff {
			s.Restarts++
		}
		s.Status, s.PID, s.StartedAt = Starting, e.PID, e.Time
		s.Registry, s.Queen = false, false
	case Ready, Healthy:
		s.Status = IsReady
	case Unhealthy:
		s.Status = IsUnhealthy
	case Restarting:
		s.Status, s.PID = InBackoff, 0
	case Stopping:
		s.Status = IsStopping
	case Exited, Stopped, Failed:
		s.Status, s.PID = Ended, 0
		s.Registry, s.Queen = false, false
	}
}

// InUseError means that another living launch of this user has the id.
type InUseError struct {
	ID  string
	PID int // of its launcher; 0 when unknown
}

func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the id %s is another launch's", e.ID)
	}
	return fmt.Sprintf("the id %s is that of the launch run by pid %d", e.ID, e.PID)
}

// record is a launch's file in the runtime directory, beside a lock which is held
// as long as the launcher lives: the kernel lets go of it after any death.
type record struct {
	path string
	lock *flock.Flock
}

func recordDir(runtimeDir string) string { return filepath.Join(runtimeDir, "launches") }

// looking is how long List may hold the lock of a record whose launcher is dead.
const looking = 200 * time.Millisecond

func openRecord(ctx context.Context, runtimeDir, id string) (*record, error) {
	dir := recordDir(runtimeDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("record the launch %s: %w", id, err)
	}
	r := &record{path: filepath.Join(dir, url.PathEscape(id)+".json")}
	for {
		r.lock = flock.New(lockOf(r.path), flock.SetPermissions(0o600))
		patience, cancel := context.WithTimeout(ctx, looking)
		locked, err := r.lock.TryLockContext(patience, looking/20)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("record the launch %s: %w", id, err)
		}
		if !locked {
			other, _ := readRecord(r.path) // best effort: for the message alone
			return nil, &InUseError{ID: id, PID: other.SupervisorPID}
		}
		// A launch that was just ending may have removed the file that we locked.
		if mine, err := r.lock.Stat(); err == nil {
			if there, err := os.Stat(lockOf(r.path)); err == nil && os.SameFile(mine, there) {
				return r, nil
			}
		}
		_ = r.lock.Close()
	}
}

func lockOf(path string) string { return strings.TrimSuffix(path, ".json") + ".lock" }

// write replaces the record in one step, so that no reader sees half of one.
func (r *record) write(l Launch) error {
	body, err := json.Marshal(l)
	if err != nil {
		return err
	}
	next := r.path + ".new"
	if err := os.WriteFile(next, body, 0o600); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return os.Rename(next, r.path)
}

// close removes the record and its lock, in this order: who locks next finds
// neither.
func (r *record) close() error {
	if r == nil {
		return nil
	}
	err := os.Remove(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(r.lock.Path()), r.lock.Close())
}

func readRecord(path string) (Launch, error) {
	var l Launch
	body, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(body, &l)
}

// List shows the launches that live, by id, and clears away what those left that
// were killed.
func List(runtimeDir string) ([]Launch, error) {
	files, err := filepath.Glob(filepath.Join(recordDir(runtimeDir), "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list the launches in %s: %w", runtimeDir, err)
	}
	launches := []Launch{}
	for _, path := range files {
		if clearDead(path) {
			continue
		}
		l, err := readRecord(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended just now
		}
		if err != nil {
			return nil, fmt.Errorf("list the launches: %s: %w", path, err)
		}
		launches = append(launches, l)
	}
	return launches, nil
}

// clearDead removes a record that nobody holds the lock of.
func clearDead(path string) bool {
	lock := flock.New(lockOf(path), flock.SetFlag(os.O_RDONLY|syscall.O_NOFOLLOW))
	locked, err := lock.TryLock()
	if err != nil || !locked {
		if errors.Is(err, fs.ErrNotExist) {
			return os.Remove(path) == nil
		}
		return false
	}
	return (&record{path: path, lock: lock}).close() == nil
}

// showAs makes List show the launch under this id from now on. A folder that can't
// be written costs the listing, not the launch; an id that is another's is refused.
func (l *launching) showAs(ctx context.Context, id string) error {
	if l.cfg.RuntimeDir == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record == nil || l.shown.ID != id { // a new port need not mean a new id
		if err := l.list(ctx, id); err != nil {
			return err
		}
	}
	l.shown = Launch{
		Type: l.cfg.Type, Model: l.cfg.Model, Engine: l.cfg.Engine,
		SupervisorPID: os.Getpid(), StartedAt: time.Now(),
	}
	return nil
}

// list takes a record for the id, in place of the one there is.
func (l *launching) list(ctx context.Context, id string) error {
	next, err := openRecord(ctx, l.cfg.RuntimeDir, id)
	var inUse *InUseError
	if errors.As(err, &inUse) {
		return err
	}
	if err != nil {
		l.cfg.Log.Warn("the launch can't be listed", "err", err)
	}
	if err := l.record.close(); err != nil {
		l.cfg.Log.Warn("the launch is still listed under an old id", "err", err)
	}
	l.record = next
	return nil
}

// show writes the picture; a disk that is full costs the listing, not the child.
func (l *launching) show() {
	if l.record == nil {
		return
	}
	if err := l.record.write(l.shown); err != nil {
		l.cfg.Log.Debug("the launch can't be listed", "id", l.shown.ID, "err", err)
	}
}
