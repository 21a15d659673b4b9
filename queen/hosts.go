package queen

import (
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/rbee-launch/rbee-launch/registry"
)

// ours reports whether host is this machine by one of its own names or addresses.
func ours(host string) bool {
	if name, err := os.Hostname(); registry.Loopback(host) || err == nil && strings.EqualFold(host, name) {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, is := a.(*net.IPNet); is && n.IP.String() == host {
			return true
		}
	}
	return false
}

// validHost keeps what is no host out of the URLs that we fetch.
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	for _, r := range host {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_':
		default:
			return false
		}
	}
	return host != ""
}
