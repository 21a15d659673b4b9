package client

import (
	"context"
	"net"
	"net/http"
)

// ReachAt has the client find all machines at one address.
func ReachAt(c *Client, addr string) {
	c.http.GetClient().Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}
