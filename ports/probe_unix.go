//go:build unix

package ports

import (
	"errors"
	"syscall"
)

// refuseReuse clears SO_REUSEADDR, which net sets on every listener: with it, a
// bind succeeds over a socket that is bound and does not listen yet.
func refuseReuse(_, _ string, conn syscall.RawConn) error {
	var setErr error
	err := conn.Control(func(fd uintptr) {
		setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
	})
	return errors.Join(err, setErr)
}
