package worker

import (
	"net"
	"sync"
)

// clients is a listener that knows how many of its connections are open.
type clients struct {
	net.Listener

	mu   sync.Mutex
	open int
	none chan struct{} // closed while none is
}

func countClients(ln net.Listener) *clients {
	c := &clients{Listener: ln, none: make(chan struct{})}
	close(c.none)
	return c
}

// Accept is net.Listener's.
func (c *clients) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open++; c.open == 1 {
		c.none = make(chan struct{})
	}
	return &clientConn{Conn: conn, gone: sync.OnceFunc(c.left)}, nil
}

func (c *clients) left() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open--; c.open == 0 {
		close(c.none)
	}
}

// wait returns when no client is connected, or there is a hurry.
func (c *clients) wait(hurry <-chan struct{}) {
	c.mu.Lock()
	none := c.none
	c.mu.Unlock()
	select {
	case <-none:
	case <-hurry:
	}
}

type clientConn struct {
	net.Conn
	gone func()
}

// Close is net.Conn's.
func (c *clientConn) Close() error {
	defer c.gone()
	return c.Conn.Close()
}
