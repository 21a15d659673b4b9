package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// folder looks at one that may not be there yet: then at what it would be made in. A
// symbolic link is followed if stat does that.
func folder(path string, stat func(string) (fs.FileInfo, error)) Folder {
	f := Folder{Path: path}
	if path == "" {
		return f
	}
	info, err := stat(path)
	switch {
	case err == nil:
		f.Exists, f.Mode = true, info.Mode()
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			f.Mine = int(owner.Uid) == os.Getuid()
		}
	case !errors.Is(err, fs.ErrNotExist):
		f.Write = err
		return f
	}
	there := existing(path)
	f.Write = tryWrite(there)
	f.Free, f.FreeFiles, f.Counted = space(there)
	return f
}

// existing is the path itself, or the nearest folder above that is there.
func existing(path string) string {
	for {
		_, err := os.Stat(path)
		up := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || up == path {
			return path
		}
		path = up
	}
}

// tryWrite makes a file and removes it: root, read-only file systems and quotas make
// more of a mode than it says.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".rbee-doctor-*")
	if err != nil {
		return fmt.Errorf("write to %s: %w", dir, reason(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// reason is an error without the name of the file that was tried.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// space is what a user without privileges may still take.
func space(dir string) (free, files uint64, counted bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), uint64(s.Ffree), s.Files > 0
}
