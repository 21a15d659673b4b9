package registry

import (
	"net/http"
	"net/netip"
)

// ShowToken puts the cluster's token on a request to another machine, whose servers ask for
// it. On this one nobody does, and a port there may be another user's.
func ShowToken(r *http.Request, token string) {
	host := r.URL.Hostname()
	ip, err := netip.ParseAddr(host)
	if here := Loopback(host) || err == nil && ip.IsUnspecified(); token != "" && !here {
		r.Header.Set("Authorization", "Bearer "+token)
	}
}
