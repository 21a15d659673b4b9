package dial

import (
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// control: TCP_USER_TIMEOUT is not what is wanted here. It also ends connections to a server that
// acknowledges everything, and has no room for more while it is busy with something else.
func control(time.Duration) func(_, _ string, raw syscall.RawConn) error { return nil }

// watched is c, looked at now and then until it is closed.
func watched(c net.Conn, unheard time.Duration) net.Conn {
	tcp, is := c.(*net.TCPConn)
	if !is {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{Conn: c, tcp: tcp, raw: raw, unheard: unheard}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(unheard/looks, w.look)
	return w
}

// looks are how many times in a row a connection is found unheard before it is given up.
const looks = 5

// conn is a connection that is looked at.
type conn struct {
	net.Conn
	tcp     *net.TCPConn
	raw     syscall.RawConn
	unheard time.Duration

	mu     sync.Mutex
	timer  *time.Timer
	bad    int // looks in a row
	closed bool
	lost   error
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.because(err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.because(err)
}

// because is err, or what has led to it.
func (c *conn) because(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost != nil {
		return c.lost
	}
	return err
}

func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.timer.Stop()
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) look() {
	bad := c.nobodyHears()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return
	case !bad:
		c.bad = 0
	default:
		c.bad++
	}
	if c.bad < looks {
		c.timer.Reset(c.unheard / looks)
		return
	}
	c.lost = &unheardError{c.RemoteAddr(), c.unheard}
	_ = c.tcp.SetLinger(0) // what was sent is not to be sent any more
	_ = c.Conn.Close()     // Read and Write return; whoever has c closes it again
}

// nobodyHears reports whether something is under way of which the other side has acknowledged
// nothing since the last look. That it has no room for more is not under way.
func (c *conn) nobodyHears() bool {
	var info *unix.TCPInfo
	err := c.raw.Control(func(fd uintptr) {
		info, _ = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || info == nil {
		return false
	}
	since := time.Duration(info.Last_ack_recv) * time.Millisecond
	return info.Unacked > 0 && since >= c.unheard/looks
}
