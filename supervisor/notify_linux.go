package supervisor

import (
	"net"
	"syscall"
)

// listenNotices opens the abstract socket of that name. Whoever takes the child over
// can open it again.
func listenNotices(name string) (conn *net.UnixConn, addr string, clean func() error, err error) {
	addr = "@" + name
	conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return nil, "", nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		controlErr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
		})
		if err == nil {
			err = controlErr
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, "", nil, err
	}
	return conn, addr, func() error { return nil }, nil
}

// sentBy says who sent a message, by the kernel's word, and whether that is of the tree.
func sentBy(controls []syscall.SocketControlMessage, tree func() map[int]bool) (pid int, ours bool) {
	for _, c := range controls {
		if sender, err := syscall.ParseUnixCredentials(&c); err == nil {
			return int(sender.Pid), tree()[int(sender.Pid)]
		}
	}
	return 0, false
}
