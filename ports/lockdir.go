package ports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/rbee-launch/rbee-launch/internal/lockfile"
)

// lockDir is the directory of the lock files, checked by openLockDir.
type lockDir string

// openLockDir makes dir when it is missing and refuses one in which another user
// could swap our files.
func openLockDir(dir string) (lockDir, error) {
	if dir == "" {
		dir = DefaultDir
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeShared(dir); err != nil {
			return "", fmt.Errorf("make the lock directory %s: %w", dir, err)
		}
		info, err = os.Lstat(dir)
	}
	if err != nil {
		return "", fmt.Errorf("look at the lock directory: %w", err)
	}
	if err := checkDir(info); err != nil {
		return "", fmt.Errorf("the lock directory %s is not safe to use: %w", dir, err)
	}
	return lockDir(dir), nil
}

// checkDir is the policy: a real directory, and where others may write the sticky
// bit keeps them from removing or renaming our files.
func checkDir(info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link")
	case !mode.IsDir():
		return errors.New("it is not a directory")
	case mode.Perm()&0o022 != 0 && mode&fs.ModeSticky == 0:
		return fmt.Errorf("others may write to it and it is not sticky (mode %04o, want 1777)", mode.Perm())
	}
	return nil
}

// makeShared makes dir appear with its final mode at once, whatever the umask: a
// plain mkdir would show it to other launchers with a mode that they refuse.
func makeShared(dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".rbee-ports-*")
	if err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o777|fs.ModeSticky); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, statErr := os.Lstat(dir); statErr == nil {
			err = nil // another launcher was quicker; the check looks at its work
		}
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

func (d lockDir) path(port int) string {
	return filepath.Join(string(d), strconv.Itoa(port)+".lock")
}

// lock takes the port's lock file, or returns errLeased. The loop is for files that
// a Release removes between two of our steps: a lock counts only if the locked file
// is still the one that the next launcher will find.
func (d lockDir) lock(ctx context.Context, port int) (*lockfile.File, error) {
	path := d.path(port)
	for ctx.Err() == nil {
		// No O_CREATE: Linux refuses it on other users' files in a sticky directory
		// (fs.protected_regular).
		lock, err := lockfile.Try(path, os.O_RDWR|openSafely, 0)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := d.create(path); err != nil {
				return nil, fmt.Errorf("make the lock file: %w", err)
			}
		case errors.Is(err, lockfile.ErrLocked):
			return nil, errLeased
		case err != nil:
			return nil, err
		default:
			current, err := lock.IsAt(path)
			if current && err == nil {
				return lock, nil
			}
			if err := errors.Join(err, lock.Unlock()); err != nil {
				return nil, err
			}
		}
	}
	return nil, ctx.Err()
}

// create makes an empty lock file that every user may lock. Link makes it appear
// with its final mode and never replaces one that is there already.
func (d lockDir) create(path string) error {
	tmp, err := os.CreateTemp(string(d), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	mode := fs.FileMode(0o666)
	if runtime.GOOS == "linux" {
		mode |= fs.ModeSticky // asks systemd-tmpfiles to leave it alone, however old
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// release removes the file while it is still locked, then unlocks it.
func (d lockDir) release(port int, lock *lockfile.File) error {
	path := d.path(port)
	current, err := lock.IsAt(path)
	if err != nil || !current {
		return errors.Join(err, lock.Unlock()) // it was removed under us, and may be another's now
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrPermission) {
		// Another user's launcher left it behind: only that user may remove it. It
		// stays, empty, for the next one to lock.
		err = d.write(port, nil)
	}
	return errors.Join(err, lock.Unlock())
}

// signature is what a lock file says of its holder. It is for people: the lock
// alone decides.
type signature struct {
	PID     int    `json:"pid"`
	Started int64  `json:"started"` // Unix time in ms, to tell a pid that was used again
	Program string `json:"program"`
}

func (d lockDir) sign(ctx context.Context, port int) error {
	self := signature{PID: os.Getpid(), Program: programName()}
	self.Started, _ = startTime(ctx, self.PID) // zero where the system does not tell
	body, err := json.Marshal(self)
	if err != nil {
		return fmt.Errorf("sign the lock file: %w", err)
	}
	if err := d.write(port, append(body, '\n')); err != nil {
		return fmt.Errorf("sign the lock file: %w", err)
	}
	return nil
}

func (d lockDir) write(port int, body []byte) error {
	f, err := os.OpenFile(d.path(port), os.O_WRONLY|os.O_TRUNC|openSafely, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	return errors.Join(err, f.Close())
}

// signedBy reads who holds port, if a living launcher says so. It leaves the lock
// alone: to try it, even for an instant, could make another launcher skip a free
// port.
func (d lockDir) signedBy(ctx context.Context, port int) (Process, bool) {
	f, err := os.OpenFile(d.path(port), os.O_RDONLY|openSafely, 0)
	if err != nil {
		return Process{}, false
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return Process{}, false
	}
	var s signature
	if err := json.Unmarshal(body, &s); err != nil || s.PID <= 0 {
		return Process{}, false
	}
	started, err := startTime(ctx, s.PID)
	if err != nil || !sameStart(started, s.Started) {
		return Process{}, false
	}
	return Process{PID: s.PID, Program: s.Program}, true
}
