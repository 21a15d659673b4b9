package cli

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Host is a flag's value that names a machine: an IP address, or a name as DNS has them,
// and neither a port nor a URL.
type Host string

// hostName is looser than RFC 1123: there are names with underscores.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// UnmarshalText is called by kong.
func (h *Host) UnmarshalText(text []byte) error {
	name := string(text)
	if name == "" { // a variable that is set to nothing
		*h = ""
		return nil
	}
	if bare, ok := strings.CutPrefix(name, "["); ok { // an IPv6 address as URLs have it
		name = strings.TrimSuffix(bare, "]")
	}
	if _, err := netip.ParseAddr(name); err != nil && (len(name) > 253 || !hostName.MatchString(name)) {
		return fmt.Errorf("%q is no host: a name like box1.lan is wanted, or an address like 192.168.1.5, without scheme and port", text)
	}
	*h = Host(name)
	return nil
}

// CheckAddress refuses what is no literal address to bind; "" is none yet.
func CheckAddress(flag, host string) error {
	if _, err := netip.ParseAddr(host); host != "" && err != nil {
		return fmt.Errorf("%s: %q is no literal address, as 127.0.0.1 is", flag, host)
	}
	return nil
}
