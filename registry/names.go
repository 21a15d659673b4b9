package registry

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/oklog/ulid/v2"
)

// WorkerID is a worker's id unless it is given one: "worker-{type}-{port}", with
// "@{host}" where others reach it at a host that is not just their own.
func WorkerID(workerType string, port int, advertised string) string {
	id := "worker-" + workerType + "-" + strconv.Itoa(port)
	if !Loopback(advertised) {
		id += "@" + advertised
	}
	return id
}

// Loopback reports whether a host, a name or an address, is whoever says it.
func Loopback(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}

// BindFor is the literal address for a server to bind that gives out this host, where it is
// told no other: 0.0.0.0, or a loopback address where the host is this machine alone.
func BindFor(advertised string) string {
	if ip, err := netip.ParseAddr(advertised); err == nil && ip.IsLoopback() {
		return ip.String() // ::1, say
	}
	if Loopback(advertised) {
		return "127.0.0.1"
	}
	return "0.0.0.0"
}

// ValidHost reports whether a host can be anybody's: an address, without brackets, or a name
// of letters, digits, "-", "." and "_". Whatever else goes into a URL leads elsewhere.
func ValidHost(host string) bool {
	name := host
	if ip, err := netip.ParseAddr(host); err == nil {
		if name = ip.Zone(); name == "" {
			return true
		}
	}
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_':
		default:
			return false
		}
	}
	return name != ""
}

// Reachable is the host to keep for a component that calls itself hostname, as
// teller says, a host or an address. "localhost" said by another machine would lead
// everyone astray, and a wildcard address leads nowhere: the teller takes its place.
func Reachable(hostname, teller string) string {
	if addr, err := netip.ParseAddr(teller); err == nil {
		teller = addr.Unmap().WithZone("").String() // a zone means something on its own machine alone
	}
	ip, err := netip.ParseAddr(strings.Trim(hostname, "[]"))
	if err == nil && ip.IsUnspecified() || Loopback(hostname) && !Loopback(teller) {
		return teller
	}
	return hostname
}

// Older reports whether instance a was made before b. ULIDs sort by the time they
// were made; of other names only their difference is known.
func Older(a, b string) bool {
	x, errX := ulid.ParseStrict(a)
	y, errY := ulid.ParseStrict(b)
	return errX == nil && errY == nil && x.Compare(y) < 0
}
