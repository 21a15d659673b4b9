package registry

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"
)

// hosts makes what a registry says of its own machine hold here: one on another machine may
// list its neighbours as localhost. It is the registry's host, or "localhost" for one on
// this machine.
type hosts string

// hostsOf is for a registry at base.
func hostsOf(base *url.URL) hosts {
	if host := base.Hostname(); !thisMachine(host) {
		return hosts(host)
	}
	return "localhost"
}

// The methods below write to what they are given.

func (h hosts) list(entries []Entry) {
	for i := range entries {
		entries[i].Hostname = Reachable(entries[i].Hostname, string(h))
	}
}

func (h hosts) one(e *Entry) {
	if e != nil {
		e.Hostname = Reachable(e.Hostname, string(h))
	}
}

func (h hosts) all(s Snapshot) {
	h.list(s.Hives)
	h.list(s.Workers)
	h.one(s.Queen)
	h.one(s.GUI)
}

// thisMachine reports whether host is this machine by one of its own names or addresses.
func thisMachine(host string) bool {
	if name, err := os.Hostname(); Loopback(host) || err == nil && strings.EqualFold(host, name) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ownAddress(ip)
}

func ownAddress(ip netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("") // interfaces tell of theirs without
	for _, a := range all {
		if n, is := a.(*net.IPNet); is {
			if own, ok := netip.AddrFromSlice(n.IP); ok && own.Unmap() == ip {
				return true
			}
		}
	}
	return false
}

// lookupTime is how long the name of a registry is sought at most.
const lookupTime = 2 * time.Second

// AdvertiseFor is the host under which those who use the registry at registryURL reach this
// machine: the address that the way there begins with. It is "localhost" when there is no
// such registry (""), when it is reached by loopback, and when no way to it is known. It
// may ask DNS, for 2 s at most, and sends nothing to the registry.
func AdvertiseFor(ctx context.Context, registryURL string) string {
	base, err := url.Parse(registryURL)
	if err != nil || base.Hostname() == "" || Loopback(base.Hostname()) {
		return "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", base.Hostname())
	if err != nil {
		return "localhost"
	}
	for _, ip := range addrs {
		if ip = ip.Unmap(); ip.IsLoopback() || ip.IsUnspecified() {
			continue
		}
		if ownAddress(ip) {
			return ip.WithZone("").String()
		}
		if from, ok := wayTo(ctx, ip); ok {
			return from
		}
	}
	return "localhost"
}

// wayTo is the address of this machine that packets to ip come from. To connect a UDP
// socket only looks the route up.
func wayTo(ctx context.Context, ip netip.Addr) (from string, ok bool) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", netip.AddrPortFrom(ip, DefaultPort).String())
	if err != nil {
		return "", false
	}
	defer conn.Close()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return "", false
	}
	addr := local.Addr().Unmap()
	return addr.WithZone("").String(), !addr.IsLoopback() // a zone means something on its own machine alone
}
