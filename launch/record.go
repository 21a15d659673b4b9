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
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
)

// InUseError means that another launch of this user has the id.
type InUseError struct {
	ID       string
	PID      int  // of its launcher; 0 when unknown
	Orphaned bool // that launcher is dead, and the child was kept
}

func (e *InUseError) Error() string {
	switch {
	case e.Orphaned:
		return fmt.Sprintf("the id %s is that of a child whose launcher, pid %d, is dead", e.ID, e.PID)
	case e.PID == 0:
		return fmt.Sprintf("the id %s is another launch's", e.ID)
	default:
		return fmt.Sprintf("the id %s is that of the launch run by pid %d", e.ID, e.PID)
	}
}

// record is what a launch has in the runtime directory: its state, and beside that a
// lock, which is held as long as its launcher or its guard lives, and two sockets.
type record struct {
	base string // the files' paths, without their extensions
	lock *lockfile.File
}

// The extensions of a record's files.
const (
	stateExt = ".json"
	lockExt  = ".lock"
	sockExt  = ".sock"  // where the launcher takes commands
	doorExt  = ".door"  // where the guard takes a new launcher
	nextExt  = ".next"  // the state that is being written
	spareExt = ".spare" // room for one
)

// besideLock are the extensions of all of a record's files but the lock.
func besideLock() []string { return []string{stateExt, nextExt, spareExt, sockExt, doorExt} }

func recordDir(runtimeDir string) string { return filepath.Join(runtimeDir, "launches") }

func recordBase(runtimeDir, id string) string {
	return filepath.Join(recordDir(runtimeDir), url.PathEscape(id))
}

// looking is how long another may hold the lock of a record whose launch has ended, to
// look at it or to clear it away.
const looking = 200 * time.Millisecond

// openRecord takes the id for a new launch. What a dead one of that id has left is
// cleared away first.
func openRecord(ctx context.Context, runtimeDir, id string) (*record, error) {
	if err := os.MkdirAll(recordDir(runtimeDir), 0o700); err != nil {
		return nil, fmt.Errorf("record the launch %s: %w", id, err)
	}
	r := &record{base: recordBase(runtimeDir, id)}
	for patience := time.Now().Add(looking); ; {
		err := r.tryLock()
		if err == nil {
			break
		}
		if !errors.Is(err, lockfile.ErrLocked) {
			return nil, fmt.Errorf("record the launch %s: %w", id, err)
		}
		if time.Now().After(patience) || ctx.Err() != nil {
			return nil, inUse(r.base, id)
		}
		time.Sleep(looking / 20)
	}
	if s, err := readState(r.base); err == nil {
		if err := s.reclaim(); err != nil {
			return nil, errors.Join(fmt.Errorf("record the launch %s: %w", id, err), r.lock.Unlock())
		}
	}
	if err := r.removeAll(besideLock()...); err != nil {
		return nil, errors.Join(fmt.Errorf("record the launch %s: %w", id, err), r.lock.Unlock())
	}
	return r, nil
}

func inUse(base, id string) error {
	other, _ := readState(base) // best effort: for the message alone
	is := other.standing(look(base, &other))
	return &InUseError{ID: id, PID: other.SupervisorPID, Orphaned: is == orphaned}
}

// tryLock locks the record's lock file, made when missing. A launch that ends just now
// may remove the file that was locked: then the next one counts.
func (r *record) tryLock() error {
	for {
		lock, err := lockfile.Try(r.base+lockExt, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return err
		}
		current, err := lock.IsAt(r.base + lockExt)
		if current && err == nil {
			r.lock = lock
			return nil
		}
		if err := errors.Join(err, lock.Unlock()); err != nil {
			return err
		}
	}
}

// held reports whether the record is still this launch's: whether the lock that it has is
// the one that others find.
func (r *record) held() bool {
	if r == nil {
		return false
	}
	ours, err := r.lock.IsAt(r.base + lockExt)
	return ours && err == nil
}

// errGone means that a record was cleared away by others; what is at its place may be
// another launch's.
var errGone = errors.New("its record is gone from the runtime directory")

// files are the record's paths, the lock's first, as a guard wants them that is to
// remove them.
func (r *record) files() []string {
	paths := []string{r.base + lockExt}
	for _, ext := range besideLock() {
		paths = append(paths, r.base+ext)
	}
	return paths
}

// write replaces the state in one step, so that no reader sees half of one. On a full disk
// it makes do with the room that the record has.
func (r *record) write(s state) error {
	if !r.held() {
		return errGone
	}
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	next := r.base + nextExt
	if err := os.WriteFile(next, body, 0o600); err != nil {
		err = errors.Join(err, os.Remove(next))
		if r.writeSpare(body) != nil {
			return err
		}
		return nil
	}
	if err := os.Rename(next, r.base+stateExt); err != nil {
		return err
	}
	r.reserve(len(body))
	return nil
}

// has reports whether there is a file of this type with this extension.
func (r *record) has(ext string, is fs.FileMode) bool {
	info, err := os.Lstat(r.base + ext)
	return err == nil && info.Mode().Type() == is
}

// close removes the record, its lock last: who locks next finds nothing else. Where the lock
// is gone, the rest is this launch's to remove as long as nobody else has the id.
func (r *record) close() error {
	if r == nil {
		return nil
	}
	if !r.held() {
		gone := r.lock
		if !r.remains() || r.tryLock() != nil {
			return gone.Unlock()
		}
		_ = gone.Unlock()
	}
	return errors.Join(r.removeAll(besideLock()...), r.removeAll(lockExt), r.lock.Unlock())
}

func (r *record) removeAll(exts ...string) error {
	var errs []error
	for _, ext := range exts {
		if err := os.Remove(r.base + ext); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// records are the bases of all records, by name, also of those without a state.
func records(runtimeDir string) ([]string, error) {
	entries, err := os.ReadDir(recordDir(runtimeDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var bases []string
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext == lockExt || slices.Contains(besideLock(), ext) {
			bases = append(bases, filepath.Join(recordDir(runtimeDir), strings.TrimSuffix(e.Name(), ext)))
		}
	}
	slices.Sort(bases)
	return slices.Compact(bases), nil
}

// remains reports whether there is any file of the record.
func (r *record) remains() bool {
	for _, path := range r.files() {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}

// idOf is the id whose record it is.
func idOf(base string) string {
	id, err := url.PathUnescape(filepath.Base(base))
	if err != nil {
		return filepath.Base(base)
	}
	return id
}
