package dial

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"
)

// Dialer connects. Its zero value is ready.
type Dialer struct {
	Connect time.Duration // how long that may take; 5 s when zero
	// Unheard is how long the other machine may acknowledge nothing of what was sent; then Read
	// and Write fail. 10 s when zero. Where nothing was sent, it is half a minute until they do.
	Unheard time.Duration
}

// Keepalive has ended a connection half a minute after the last that came from the other machine.
const (
	quiet      = 10 * time.Second // until it is asked whether it is there
	askedEvery = 5 * time.Second
	asked      = 4
)

// DialContext is net.Dialer's. The caller closes the connection.
func (d Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	unheard := cmp.Or(d.Unheard, 10*time.Second)
	plain := net.Dialer{
		Timeout:         cmp.Or(d.Connect, 5*time.Second),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: quiet, Interval: askedEvery, Count: asked},
		Control:         control(unheard),
	}
	c, err := plain.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err // as it is: it tells that there never was a connection
	}
	return watched(c, unheard), nil
}

// unheardError is why a connection was given up. It is a net.Error.
type unheardError struct {
	at net.Addr
	d  time.Duration
}

func (e *unheardError) Error() string {
	return fmt.Sprintf("%s has acknowledged nothing for %s: its machine, or the way to it, is gone", e.at, e.d)
}

func (e *unheardError) Timeout() bool   { return true }
func (e *unheardError) Temporary() bool { return false }
