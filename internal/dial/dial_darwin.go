package dial

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// control has the kernel give a connection up that retransmits for so long. It does not count the
// time in which the other side has no room.
func control(unheard time.Duration) func(_, _ string, raw syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) error {
		seconds := max(1, int(unheard/time.Second))
		return raw.Control(func(fd uintptr) {
			// Where it can't be had, connections end later.
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RXT_CONNDROPTIME, seconds)
		})
	}
}

func watched(c net.Conn, _ time.Duration) net.Conn { return c }
