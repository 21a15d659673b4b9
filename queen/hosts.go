package queen

import (
	"net"
	"net/netip"
	"os"
	"strings"
)

// reachable is the host to use for a member that calls itself hostname, as
// teller says, a host or an address. "localhost" said by another machine would
// lead astray, and a wildcard address leads nowhere: the teller takes its place.
func reachable(hostname, teller string) string {
	teller = unzoned(teller)
	ip, err := netip.ParseAddr(strings.Trim(hostname, "[]"))
	if err == nil && ip.IsUnspecified() || isLoopback(hostname) && !isLoopback(teller) {
		return teller
	}
	return hostname
}

func isLoopback(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// unzoned is an address without the zone, which only its own machine understands,
// and an IPv4 one in its own form; a name stays as it is.
func unzoned(host string) string {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	return ip.Unmap().WithZone("").String()
}

// ours reports whether host is this machine by one of its own names or addresses.
func ours(host string) bool {
	if name, err := os.Hostname(); isLoopback(host) || err == nil && strings.EqualFold(host, name) {
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
