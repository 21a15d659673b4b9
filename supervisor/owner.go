package supervisor

import (
	"context"
	"net/netip"

	psnet "github.com/shirou/gopsutil/v3/net"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// ownership is whose the listeners on an address are.
type ownership int

const (
	unowned ownership = iota // nobody listens there, as far as one can see
	ours                     // the child's tree, and nobody else
	foreign                  // somebody else does, alone or besides
	unknown                  // the system doesn't say
)

// answersAt reports whether a listener with the local address given gets what is sent
// to at. Where at is no address but a name, any may.
func answersAt(local netip.Addr, at netip.AddrPort) bool {
	return !at.Addr().IsValid() || local.IsUnspecified() || local == at.Addr().Unmap()
}

func listensAt(c psnet.ConnectionStat, at netip.AddrPort) bool {
	if c.Status != "LISTEN" || c.Laddr.Port != uint32(at.Port()) {
		return false
	}
	local, err := netip.ParseAddr(c.Laddr.IP)
	return err != nil || answersAt(local.Unmap(), at) // "*" on some systems
}

// holderOf names a process outside the tree that listens on the address.
func holderOf(ctx context.Context, at netip.AddrPort, tree map[int]bool) string {
	return sockdiag.Listener(ctx, func(c psnet.ConnectionStat) bool {
		return listensAt(c, at) && !tree[int(c.Pid)]
	})
}
