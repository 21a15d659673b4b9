package sockdiag

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// fromProc reads what OnPort asks for from the tables in /proc.
func fromProc(port int, mask uint32) ([]Socket, error) {
	var found []Socket
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		body, err := os.ReadFile(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6 here
		}
		if err != nil {
			return nil, fmt.Errorf("list the sockets on port %d: %w", port, err)
		}
		found = append(found, parse(body, port, mask)...)
	}
	return found, nil
}

// parse reads lines of: sl local remote state queues timers retransmits uid timeout inode
func parse(table []byte, port int, mask uint32) []Socket {
	var found []Socket
	local := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(bytes.NewReader(table)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || !strings.HasSuffix(f[1], local) {
			continue
		}
		state, err := strconv.ParseUint(f[3], 16, 5)
		if err != nil || mask&(1<<state) == 0 {
			continue
		}
		inode, _ := strconv.ParseUint(f[9], 10, 64) // 0 for what is no number
		found = append(found, Socket{State(state), parseAddr(strings.TrimSuffix(f[1], local)), inode})
	}
	return found
}

// parseAddr reads an address as the tables show it: words of four bytes, each printed
// as the number that it is on this machine.
func parseAddr(text string) netip.Addr {
	var bytes []byte
	for ; len(text) >= 8; text = text[8:] {
		word, _ := strconv.ParseUint(text[:8], 16, 32) // 0 for what is no number
		bytes = binary.NativeEndian.AppendUint32(bytes, uint32(word))
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr.Unmap()
}
