//go:build !linux

package supervisor

import (
	"context"
	"net/netip"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// owner asks the system for the listeners on an address. Other users' processes are
// not shown here without privilege, so an address nobody is seen on is unknown.
func owner(ctx context.Context, at netip.AddrPort, tree map[int]bool) ownership {
	conns, err := sockdiag.Table(ctx)
	if err != nil {
		return unknown
	}
	answer := unknown
	for _, c := range conns {
		if !listensAt(c, at) {
			continue
		}
		if !tree[int(c.Pid)] {
			return foreign
		}
		answer = ours
	}
	return answer
}
