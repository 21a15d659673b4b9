package unixsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxPath is what every system takes, in bytes: sun_path less its end.
const maxPath = 103

// Listen makes a socket that only this user may connect to. The caller closes it, and
// removes the file.
func Listen(path string) (*net.UnixListener, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	defer done()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	ln.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen at %s: %w", path, err), ln.Close())
	}
	return ln, nil
}

// Inherit is the listener whose descriptor came from another process, or from this one
// before it executed another program. It closes f; the caller closes the listener.
func Inherit(f *os.File) (*net.UnixListener, error) {
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("inherit a listener: %w", err)
	}
	unix, ok := ln.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.New("inherit a listener: it is no Unix socket"), ln.Close())
	}
	return unix, nil
}

// Dial connects to a socket. The caller closes the connection.
func Dial(ctx context.Context, path string) (*net.UnixConn, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return conn.(*net.UnixConn), nil // "unix" gives no other
}

// shorten makes a name for path that fits into an address, good until done is called.
func shorten(path string) (short string, done func(), err error) {
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	short, err = through(dir, filepath.Base(path))
	if err == nil && len(short) > maxPath {
		err = fmt.Errorf("the file's name is too long: %d bytes", len(filepath.Base(path)))
	}
	if err != nil {
		return "", nil, errors.Join(err, dir.Close())
	}
	return short, func() { _ = dir.Close() }, nil
}
