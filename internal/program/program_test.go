package program_test

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/registry"
)

// placed is a listener that says to be at an address.
type placed struct {
	net.Listener
	addr string
}

// Addr is net.Listener's.
func (p placed) Addr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.addr)) }

func TestAdvertised(t *testing.T) {
	const here, there = "http://127.0.0.1:7830", "http://198.51.100.7:7830" // which no packet goes to
	for _, test := range []struct {
		told                    cli.Host
		listens, registry, want string
	}{
		{"", "0.0.0.0:7833", here, "localhost"},
		{"", "0.0.0.0:7833", "", "localhost"},
		{"", "[::]:7833", there, registry.AdvertiseFor(t.Context(), there)},
		{"", "127.0.0.1:7833", there, "localhost"},
		{"", "[::1]:7833", here, "::1"},
		{"box2", "127.0.0.1:7833", there, "box2"},
	} {
		var said strings.Builder
		got, hidden := program.Advertised(t.Context(), slog.New(slog.NewTextHandler(&said, nil)), test.told, placed{addr: test.listens}, test.registry, "--flag")
		if got != test.want {
			t.Errorf("%+v: it advertises %q", test, got)
		}
		useless := test.told == "" && test.listens == "127.0.0.1:7833" && registry.AdvertiseFor(t.Context(), there) != "localhost"
		if warned := strings.Contains(said.String(), "--flag names another"); warned != useless || hidden != useless {
			t.Errorf("%+v: hidden: %v, it says %q", test, hidden, said.String())
		}
	}
}

func TestWorkerBinds(t *testing.T) {
	const here, there = "http://127.0.0.1:7830", "http://198.51.100.7:7830"
	open := registry.BindFor(registry.AdvertiseFor(t.Context(), there)) // everywhere, where there is a way
	for _, test := range []struct{ host, advertise, registry, want string }{
		{"", "", here, "127.0.0.1"},
		{"", "", "", "127.0.0.1"},
		{"", "", there, open},
		{"127.0.0.1", "", there, "127.0.0.1"},
		{"::1", "box2", there, "::1"},
		{"", "box2", here, "0.0.0.0"},
		{"", "localhost", there, "127.0.0.1"},
		{"", "::1", there, "::1"},
	} {
		w := program.Worker{Host: test.host, Advertise: cli.Host(test.advertise), RegistryURL: program.RegistryURL{RegistryURL: test.registry}}
		if got := program.Binds(&w, t.Context()); got != test.want {
			t.Errorf("%+v: it binds %q", test, got)
		}
	}
}

func TestRegistryCache(t *testing.T) {
	t.Setenv("RBEE_STATE_DIR", "/state")
	if dir := program.RegistryCache(); dir != "/state/registry-cache" {
		t.Errorf("it is %q", dir)
	}
	for _, name := range []string{"RBEE_STATE_DIR", "XDG_STATE_HOME", "HOME"} {
		t.Setenv(name, "")
	}
	if dir := program.RegistryCache(); dir != "" {
		t.Errorf("without a state folder it is %q", dir)
	}
}
