package supervisor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// owner says whose the listeners on a port are, by the sockets' inodes: those that
// the kernel lists for the port against those that the tree's processes have open.
// Two servers share a port when both set SO_REUSEPORT, so every listener counts.
func owner(_ context.Context, port int, tree map[int]bool) ownership {
	listeners := listenersOn(port)
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

// listenersOn returns the inodes of the sockets that listen on a port.
func listenersOn(port int) map[string]bool {
	const listening = "0A" // TCP_LISTEN, in the kernel's include/net/tcp_states.h
	inodes := map[string]bool{}
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		body, err := os.ReadFile(table)
		if err != nil {
			continue // no IPv6 here
		}
		for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
			f := strings.Fields(lines.Text()) // sl local remote state queues timers retransmits uid timeout inode
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], suffix) {
				inodes[f[9]] = true
			}
		}
	}
	return inodes
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
