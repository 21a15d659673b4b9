package supervisor

import (
	"context"
	"fmt"

	psnet "github.com/shirou/gopsutil/v3/net"
	"github.com/shirou/gopsutil/v3/process"
)

// ownership is whose the listeners on an address are.
type ownership int

const (
	unowned ownership = iota // nobody listens there, as far as one can see
	ours                     // the child's tree, and nobody else
	foreign                  // somebody else does, alone or besides
	unknown                  // the system doesn't say
)

// holderOf names a process outside the tree that listens on the port.
func holderOf(ctx context.Context, port int, tree map[int]bool) string {
	conns, err := psnet.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return ""
	}
	for _, c := range conns {
		if c.Status != "LISTEN" || int(c.Laddr.Port) != port || c.Pid == 0 || tree[int(c.Pid)] {
			continue
		}
		name := "a process"
		if p, err := process.NewProcessWithContext(ctx, c.Pid); err == nil {
			if n, err := p.NameWithContext(ctx); err == nil {
				name = n
			}
		}
		return fmt.Sprintf("%s (pid %d)", name, c.Pid)
	}
	return ""
}
