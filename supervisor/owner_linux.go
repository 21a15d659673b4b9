package supervisor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// owner says whose the listeners on an address are, by the sockets' inodes: those that
// the kernel lists for the port against those that the tree's processes have open.
// Two servers share a port when both set SO_REUSEPORT, so every listener counts.
func owner(_ context.Context, at netip.AddrPort, tree map[int]bool) ownership {
	sockets, err := sockdiag.OnPort(int(at.Port()), sockdiag.Listen)
	if err != nil {
		return unknown
	}
	listeners := map[string]bool{}
	for _, s := range sockets {
		if answersAt(s.Local, at) {
			listeners[strconv.FormatUint(s.Inode, 10)] = true
		}
	}
	if len(listeners) == 0 {
		return unowned
	}
	blind := false
	for pid := range tree {
		if err := removeOpen(pid, listeners); errors.Is(err, fs.ErrPermission) {
			blind = true
		}
		if len(listeners) == 0 {
			return ours
		}
	}
	if blind {
		return unknown
	}
	return foreign
}

func removeOpen(pid int, inodes map[string]bool) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, fd := range fds {
		target, err := os.Readlink(dir + "/" + fd.Name())
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			delete(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return nil
}
