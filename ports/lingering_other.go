//go:build !linux

package ports

import (
	"context"
	"runtime"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// onlyClosed reports whether all that holds port are connections whose local end
// has been closed: those pass by themselves and no server minds them.
func onlyClosed(ctx context.Context, port int) bool {
	if runtime.GOOS == "darwin" {
		// Its table has no TIME_WAIT, and needs none: a bind with SO_REUSEADDR
		// succeeds there over closed connections only.
		return true
	}
	sockets, err := sockdiag.Table(ctx)
	if err != nil {
		return false
	}
	found := false
	for _, s := range sockets {
		if int(s.Laddr.Port) != port {
			continue
		}
		if !closed(s.Status) {
			return false
		}
		found = true
	}
	return found
}
