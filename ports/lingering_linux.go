package ports

import (
	"context"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// onlyClosed reports whether all that holds port are connections whose local end
// has been closed (TIME_WAIT and the states before it): those pass by themselves
// and no server minds them. Where no socket is shown at all, there is one that is
// bound without listening: Linux shows those from 6.8 on.
//
// An older kernel hides such a socket beside closed connections, if it sets
// SO_REUSEADDR too; its owner and our child then find out when they listen.
func onlyClosed(_ context.Context, port int) bool {
	sockets, err := sockdiag.OnPort(port)
	if err != nil || len(sockets) == 0 {
		return false
	}
	for _, s := range sockets {
		switch s.State {
		case sockdiag.TimeWait, sockdiag.FinWait1, sockdiag.FinWait2, sockdiag.Closing, sockdiag.LastAck:
		default:
			return false
		}
	}
	return true
}
