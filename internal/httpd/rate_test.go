package httpd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// askers send requests to a handler that counts those it gets.
type askers struct {
	t     *testing.T
	h     http.Handler
	taken int
}

func newAskers(t *testing.T, a httpd.Access) *askers {
	s := &askers{t: t}
	s.h = a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.taken++ }))
	return s
}

// ask sends n requests from an address and gives the last answer.
func (s *askers) ask(n int, from, token string) (last *httptest.ResponseRecorder) {
	for range n {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = from, "192.0.2.1:7830"
		r.Header.Set("Authorization", "Bearer "+token)
		last = httptest.NewRecorder()
		s.h.ServeHTTP(last, r)
	}
	return last
}

func (s *askers) want(taken int) {
	s.t.Helper()
	if s.taken != taken {
		s.t.Errorf("%d are taken, not %d", s.taken, taken)
	}
	s.taken = 0
}

func TestOneMachineIsSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAskers(t, httpd.Access{Token: "secret", MaxRate: 10})
		last := s.ask(30, "192.0.2.7:4000", "secret")
		s.want(20)
		var p httpd.Problem
		if err := json.Unmarshal(last.Body.Bytes(), &p); err != nil || last.Code != 429 || p.Code != "too_many_requests" {
			t.Errorf("%d %+v, %v", last.Code, p, err)
		}
		if after := last.Header().Get("Retry-After"); after != "1" {
			t.Errorf("it says to come back after %q", after)
		}
		s.ask(1, "192.0.2.7:4001", "secret") // from another port of that machine
		s.want(0)
		s.ask(5, "192.0.2.8:4000", "secret")
		s.want(5)
		s.ask(50, "127.0.0.1:4000", "")
		s.ask(50, "[::1]:4000", "")
		s.want(100)
		time.Sleep(time.Second) // what Retry-After says
		s.ask(20, "192.0.2.7:4000", "secret")
		s.want(10)
	})
}

// An IPv6 host has many addresses, and an IPv4 one may be written as IPv6.
func TestAMachineOfManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAskers(t, httpd.Access{Token: "secret", MaxRate: 1})
		for i := range 10 {
			s.ask(1, fmt.Sprintf("[2001:db8::%d]:4000", i), "secret")
		}
		s.want(2)
		s.ask(5, "[2001:db8:0:1::1]:4000", "secret") // the neighbours
		s.want(2)
		s.ask(2, "192.0.2.7:4000", "secret")
		s.ask(2, "[::ffff:192.0.2.7]:4000", "secret")
		s.want(2)
	})
}

// Who guesses is slowed down like anybody else, and learns nothing by it.
func TestGuessesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAskers(t, httpd.Access{Token: "secret", MaxRate: 5})
		if last := s.ask(10, "192.0.2.7:4000", "guess"); last.Code != 401 {
			t.Errorf("the tenth guess is answered with %d", last.Code)
		}
		if last := s.ask(1, "192.0.2.7:4000", "secret"); last.Code != 429 {
			t.Errorf("the right one after that is answered with %d", last.Code)
		}
	})
}

// However many others ask, nobody is locked out, and who asks all the time is not
// forgotten among them.
func TestTheTableCantBeFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAskers(t, httpd.Access{Token: "secret", MaxRate: 1})
		machine := netip.MustParseAddr("198.18.0.0")
		for range 20_000 {
			machine = machine.Next()
			s.ask(1, netip.AddrPortFrom(machine, 4000).String(), "secret")
			s.ask(1, "192.0.2.7:4000", "secret")
		}
		s.want(20_000 + 2)
	})
}

func TestRates(t *testing.T) {
	for _, test := range []struct{ rate, taken int }{{0, 2000}, {-1, 3000}} {
		synctest.Test(t, func(t *testing.T) {
			s := newAskers(t, httpd.Access{Token: "secret", MaxRate: test.rate})
			s.ask(3000, "192.0.2.7:4000", "secret")
			s.want(test.taken)
		})
	}
}

func TestMachine(t *testing.T) {
	for remote, want := range map[string]string{
		"127.0.0.1:1": "", "[::1]:1": "", "[::ffff:127.0.0.1]:1": "", "@": "", "": "",
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::", "[fe80::1%eth0]:1": "fe80::",
	} {
		got := httpd.Machine(remote)
		if (want == "" && got.IsValid()) || (want != "" && got.String() != want) {
			t.Errorf("%q is counted under %s, not %s", remote, got, want)
		}
	}
}
