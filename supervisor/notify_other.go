//go:build !linux

package supervisor

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// listenNotices opens a socket in a folder of its own: there are no abstract ones here,
// and 104 bytes are all that a path may have.
func listenNotices(string) (conn *net.UnixConn, addr string, clean func() error, err error) {
	dir, err := os.MkdirTemp("", "rbee-") // mode 0700
	if err != nil {
		return nil, "", nil, err
	}
	addr = filepath.Join(dir, "notify")
	conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return nil, "", nil, errors.Join(err, os.Remove(dir))
	}
	return conn, addr, func() error { return os.RemoveAll(dir) }, nil
}

// sentBy takes every sender for the child's: the system does not say who it is, and the
// socket's folder keeps other users out.
func sentBy([]syscall.SocketControlMessage, func() map[int]bool) (pid int, ours bool) {
	return 0, true
}
