package registry_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

func TestAdvertiseForARegistryOnThisMachine(t *testing.T) {
	for _, url := range []string{"", "http://127.0.0.1:7830", "http://localhost:7830", "http://[::1]:7830", "http://0.0.0.0:7830", ":"} {
		if got := registry.AdvertiseFor(t.Context(), url); got != "localhost" {
			t.Errorf("for %q it is %s", url, got)
		}
	}
	// By its own address, others come to it by that.
	for _, own := range addresses(t) {
		url := "http://" + net.JoinHostPort(own.String(), "7830")
		if got := registry.AdvertiseFor(t.Context(), url); got != own.String() {
			t.Errorf("for %s it is %s", url, got)
		}
	}
}

func TestAdvertiseForARegistryElsewhere(t *testing.T) {
	got := registry.AdvertiseFor(t.Context(), "http://198.51.100.7:7830") // of documentation: no packet is sent
	for _, own := range addresses(t) {
		if got == own.String() {
			return
		}
	}
	if conn, err := net.Dial("udp", "198.51.100.7:7830"); err == nil {
		conn.Close()
		t.Errorf("there is a way there, and it is %s", got)
	} else if got != "localhost" {
		t.Errorf("there is no way there (%v), and it is %s", err, got)
	}
}

func TestAdvertiseForANameThatIsNotFound(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop() // nobody is asked
	if got := registry.AdvertiseFor(ctx, "http://registry.invalid:7830"); got != "localhost" {
		t.Errorf("it is %s", got)
	}
}

// addresses are this machine's, but for those of its own alone.
func addresses(t *testing.T) (list []netip.Addr) {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if n, is := a.(*net.IPNet); is && n.IP.IsGlobalUnicast() {
			ip, _ := netip.AddrFromSlice(n.IP)
			list = append(list, ip.Unmap())
		}
	}
	return list
}

// The proxy stands for the way to another machine.
func TestHostsOfAnotherMachine(t *testing.T) {
	c := dial(t, registry.Config{URL: elsewhere(t)})
	for _, comp := range []registry.Component{
		{Kind: registry.Worker, ID: "w", Hostname: "localhost", Port: 1},
		{Kind: registry.Worker, ID: "x", Hostname: "box3", Port: 1},
		{Kind: registry.Hive, ID: "h", Hostname: "127.0.0.1", Port: 2},
		{Kind: registry.Queen, ID: "queen", Hostname: "::1", Port: 3},
		{Kind: registry.GUI, ID: "gui", Hostname: "0.0.0.0", Port: 4},
	} {
		if _, err := c.Register(t.Context(), comp); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second answer is the first one's again
		workers, errW := c.Workers(t.Context(), registry.Filter{})
		hives, errH := c.Hives(t.Context())
		queen, errQ := c.Queen(t.Context())
		all, errC := c.Components(t.Context())
		if errW != nil || errH != nil || errQ != nil || errC != nil {
			t.Fatal(errW, errH, errQ, errC)
		}
		got := append(append([]registry.Entry{*queen.Value, *all.Value.Queen, *all.Value.GUI}, workers.Value...), hives.Value...)
		for _, e := range append(append(got, all.Value.Workers...), all.Value.Hives...) {
			want := "box2.test"
			if e.ID == "x" {
				want = "box3"
			}
			if e.Hostname != want {
				t.Errorf("%s %s is at %s, not %s", e.Kind, e.ID, e.Hostname, want)
			}
		}
	}
}
