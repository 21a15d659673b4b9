package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/ports"
)

// Network is who is where.
type Network struct {
	Range    ports.Range
	Taken    []ports.Holder // of the range
	Err      error          // why Taken is unknown
	Registry Service
	Queen    Service
}

// Service is one of rbee's daemons, at the place where launches look for it.
type Service struct {
	Name   string // "registry", "queen"
	URL    string // "" when none is wanted
	Port   int
	Local  bool   // on this machine
	Is     bool   // what answers is what is wanted
	Holder string // who listens at the port, "nginx (pid 42)"; "" for nobody, or unknown
	Open   bool   // the port takes connections
	Err    error  // why Is is false
}

// fewPorts are too few for the launches of a day.
const fewPorts = 10

func freePorts(n Network) Finding {
	if n.Err != nil {
		return bad("ports", n.Err.Error(), "the message says what; see also the check of port leases")
	}
	all := n.Range.Last - n.Range.First + 1
	free := all - len(n.Taken)
	text := fmt.Sprintf("%d of the %d in %s are free", free, all, n.Range)
	if len(n.Taken) > 0 {
		text += "; taken: " + someHolders(n.Taken)
	}
	const fix = "--ports FIRST-LAST names another range; 'rbee-launch ports' shows who holds which"
	switch {
	case free == 0:
		return bad("ports", text, fix)
	case free < fewPorts && 2*free < all:
		return warn("ports", text, fix)
	default:
		return ok("ports", text)
	}
}

// someHolders names the first few.
func someHolders(taken []ports.Holder) string {
	const few = 4
	var names []string
	for i, h := range taken {
		if i == few {
			names = append(names, fmt.Sprintf("and %d more", len(taken)-few))
			break
		}
		names = append(names, h.String())
	}
	return strings.Join(names, ", ")
}

func service(s Service) Finding {
	flag := "--" + s.Name + "-url"
	var unknown x509.UnknownAuthorityError
	switch {
	case s.URL == "":
		return ok(s.Name, "none is wanted")
	case s.Is:
		return ok(s.Name, "it answers at "+s.URL+heldBy(s))
	case errors.As(s.Err, &unknown):
		return bad(s.Name, "the certificate at "+s.URL+" is signed by a CA that is not known here", "--tls-ca FILE names that CA")
	case s.Open && s.Holder != "":
		return bad(s.Name, fmt.Sprintf("%s has the port of %s and is no %s: %v", s.Holder, s.URL, s.Name, s.Err),
			fmt.Sprintf("stop it, or start the %s elsewhere (--listen) and tell the others where (%s)", s.Name, flag))
	case s.Open:
		return bad(s.Name, fmt.Sprintf("what answers at %s is no %s, or does not talk to us: %v", s.URL, s.Name, s.Err),
			fmt.Sprintf("%s names another; --token-file gives the token that one on another machine wants", flag))
	case s.Local:
		return warn(s.Name, "nobody listens at "+s.URL+": launches go on without, and register when there is one",
			fmt.Sprintf("'rbee-launch %s' starts one, 'rbee-launch up' starts everything; %s '' does without", s.Name, flag))
	default:
		return bad(s.Name, fmt.Sprintf("%s can't be reached: %v", s.URL, s.Err), "is that machine up, and does its firewall let us in? "+flag+" names another")
	}
}

func heldBy(s Service) string {
	if s.Holder == "" {
		return ""
	}
	return ", " + s.Holder
}

// Clock is what the wall clock is compared with; a zero time is unknown.
type Clock struct {
	Now      time.Time
	Built    time.Time // this program was
	Registry time.Time // the registry's own, at Now
}

const (
	// skewed is more than the whole seconds explain that the registry tells.
	skewed = 3 * time.Second
	// wrong is more than clocks that are kept at all differ by.
	wrong = 5 * time.Minute
)

func clock(c Clock) Finding {
	const fix = "have it kept: timedatectl set-ntp true, chrony, or the host's clock for a virtual machine"
	if !c.Built.IsZero() && c.Now.Before(c.Built.Add(-24*time.Hour)) {
		return bad("clock", fmt.Sprintf("it says %s, and this program was built %s", c.Now.Format(time.DateOnly), c.Built.Format(time.DateOnly)), fix)
	}
	if c.Registry.IsZero() {
		return ok("clock", "it says "+c.Now.Format(time.RFC3339))
	}
	skew := c.Now.Sub(c.Registry)
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	text := fmt.Sprintf("it is %s %s the registry's", skew.Abs().Round(time.Second), way)
	switch {
	case skew.Abs() > wrong:
		return bad("clock", text+": a younger instance of a worker can pass for the older one", fix)
	case skew.Abs() > skewed:
		return warn("clock", text, fix)
	default:
		return ok("clock", "it agrees with the registry's")
	}
}
