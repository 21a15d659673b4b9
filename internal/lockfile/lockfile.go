package lockfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another holds the lock.
var ErrLocked = errors.New("locked by another process")

// File is a locked file; the lock ends with Unlock, or with the last process that has
// its descriptor.
type File struct{ f *os.File }

// Try opens the file as os.OpenFile does and locks it for this process alone. It fails
// with ErrLocked at once when another has it. The caller calls Unlock.
func Try(path string, flag int, perm fs.FileMode) (*File, error) {
	f, err := os.OpenFile(path, flag, perm)
	if err != nil {
		return nil, err
	}
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return &File{f}, nil
}

// Inherited is a file that came with its lock from another process, whose descriptor it
// is a copy of. It belongs to the File from now on.
func Inherited(f *os.File) *File { return &File{f} }

// File is the locked file itself, to be handed to a process that is to hold the lock,
// too. It stays the File's to close.
func (l *File) File() *os.File { return l.f }

// IsAt reports whether the locked file is the regular file at path: one that was
// removed meanwhile is locked to no avail. It fails when path is no regular file.
func (l *File) IsAt(path string) (bool, error) {
	locked, err := l.f.Stat()
	if err != nil {
		return false, err
	}
	if !locked.Mode().IsRegular() {
		return false, fmt.Errorf("%s is not a regular file", path)
	}
	found, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(locked, found), err
}

// Unlock ends the lock for everybody who holds it and closes the file.
func (l *File) Unlock() error {
	return errors.Join(flock(l.f, unix.LOCK_UN), l.f.Close())
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
