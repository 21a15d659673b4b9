package guard

import "net"

// peerPID is the process at the other end; 0 when the system does not say.
func peerPID(conn *net.UnixConn) (pid int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { pid = peerOf(int(fd)) }) // it stays 0, then
	return pid
}
