package cli_test

import (
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

func TestHost(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]cli.Host{
		"localhost": "localhost", "box1.lan": "box1.lan", "gpu_node-17.example.com.": "gpu_node-17.example.com.",
		"192.168.1.5": "192.168.1.5", "::1": "::1", "[2001:db8::1]": "2001:db8::1", "fe80::1%eth0": "fe80::1%eth0",
		"": "", "http://x": "", "a b": "", "box1:7835": "", "[::1]:80": "", "-x": "", "a..b": "", "box\n": "", "a/b": "",
	} {
		var got cli.Host
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want != "" || text == "") {
			t.Errorf("%q is taken for %q, %v; want %q", text, got, err, want)
		}
	}
}
