//go:build !linux

package supervisor

import (
	"context"

	psnet "github.com/shirou/gopsutil/v3/net"
)

// owner asks the system for the listeners on a port. Other users' processes are
// not shown here without privilege, so a port nobody is seen on is unknown.
func owner(ctx context.Context, port int, tree map[int]bool) ownership {
	conns, err := psnet.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return unknown
	}
	answer := unknown
	for _, c := range conns {
		if c.Status != "LISTEN" || int(c.Laddr.Port) != port {
			continue
		}
		if !tree[int(c.Pid)] {
			return foreign
		}
		answer = ours
	}
	return answer
}
