package httpd

import (
	"net/http"
	"net/netip"
	"sync"

	"golang.org/x/time/rate"
)

const (
	usualRate = 1000 // requests a second from one machine
	// maxMachines bounds the table of those who ask, whoever they are.
	maxMachines = 10_000
)

// Machine is the address that a caller ("host:port", as in r.RemoteAddr) is counted
// under; the zero one for this machine. An IPv6 host has a whole /64 to choose from.
func Machine(remote string) netip.Addr {
	caller, err := netip.ParseAddrPort(remote)
	ip := caller.Addr().Unmap().WithZone("")
	if err != nil || ip.IsLoopback() {
		return netip.Addr{}
	}
	if ip.Is6() {
		network, _ := ip.Prefix(64) // never over 128
		return network.Addr()
	}
	return ip
}

// pace is how often each machine may ask. It keeps two generations: who asks moves to the
// young one, and when that is full, the old one goes, with those who have not asked for
// longest. One that comes back begins anew, as does one that was silent for two seconds
// anyway, so that nobody is locked out by the many others who ask.
type pace struct {
	limit rate.Limit
	burst int

	mu         sync.Mutex
	young, old map[netip.Addr]*rate.Limiter
}

func newPace(perSecond int) *pace {
	return &pace{limit: rate.Limit(perSecond), burst: 2 * perSecond, young: map[netip.Addr]*rate.Limiter{}}
}

// takes reports whether one more request of a caller's is taken now.
func (p *pace) takes(remote string) bool {
	machine := Machine(remote)
	return !machine.IsValid() || p.of(machine).Allow()
}

func (p *pace) of(machine netip.Addr) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.young[machine]; known != nil {
		return known
	}
	l := p.old[machine]
	if l == nil {
		l = rate.NewLimiter(p.limit, p.burst)
	}
	if len(p.young) >= maxMachines/2 {
		p.old, p.young = p.young, map[netip.Addr]*rate.Limiter{}
	}
	p.young[machine] = l
	return l
}

// slowDown is the answer to who asks too often.
func (p *pace) slowDown(w http.ResponseWriter) *Problem {
	w.Header().Set("Retry-After", "1") // by then there are as many again as a second has
	return Errorf(http.StatusTooManyRequests, "too_many_requests",
		"more than %.0f requests a second come from your machine, which is the limit for one", float64(p.limit))
}
