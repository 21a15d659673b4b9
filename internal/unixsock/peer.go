package unixsock

import (
	"fmt"
	"net"
)

// PeerPID is the process at the other end: of a connection that was dialed, the one that
// listens. It is 0 when the system does not say.
func PeerPID(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { pid = peerOf(int(fd)) }) // it stays 0, then
	return pid
}

// ListenerPID is the process that listens at path; 0 when the system does not say. It
// fails, at once, where nobody does.
func ListenerPID(path string) (int, error) {
	short, done, err := shorten(path)
	if err != nil {
		return 0, fmt.Errorf("see who listens at %s: %w", path, err)
	}
	defer done()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return 0, fmt.Errorf("see who listens at %s: %w", path, err)
	}
	defer conn.Close()
	return PeerPID(conn), nil
}
