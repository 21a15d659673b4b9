package registry_test

import (
	"net"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

func TestOlder(t *testing.T) {
	const first, second = "01JD0000000000000000000000", "01JD0000010000000000000000"
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{first, second, true},
		{second, first, false},
		{first, first, false},
		{"run-1", "run-2", false},
		{"", second, false},
		{first, "", false},
		{"run-1", second, false},
	} {
		if got := registry.Older(tt.a, tt.b); got != tt.want {
			t.Errorf("Older(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}

func TestWorkerID(t *testing.T) {
	for _, tt := range []struct{ advertised, want string }{
		{"localhost", "worker-llm-8080"},
		{"127.0.0.1", "worker-llm-8080"},
		{"::1", "worker-llm-8080"},
		{"box2", "worker-llm-8080@box2"},
		{"192.0.2.7", "worker-llm-8080@192.0.2.7"},
	} {
		if got := registry.WorkerID("llm", 8080, tt.advertised); got != tt.want {
			t.Errorf("WorkerID at %s = %q, want %q", tt.advertised, got, tt.want)
		}
	}
}

func TestNewLife(t *testing.T) {
	t.Parallel()
	at := &net.TCPAddr{Port: 7835}
	plain, https := registry.NewLife(registry.Hive, "box1", "10.0.0.2", at, false), registry.NewLife(registry.Hive, "box1", "10.0.0.2", at, true)
	if plain.URL() != "http://10.0.0.2:7835" || https.URL() != "https://10.0.0.2:7835" {
		t.Errorf("they are at %s and %s", plain.URL(), https.URL())
	}
	if plain.InstanceID == "" || plain.InstanceID == https.InstanceID || plain.Validate() != nil {
		t.Errorf("two lives: %+v, %+v", plain, https)
	}
}

func TestValidHost(t *testing.T) {
	t.Parallel()
	for host, valid := range map[string]bool{
		"box1": true, "Box_1.lan.": true, "10.0.0.2": true, "::1": true, "fe80::1%eth0": true,
		"": false, "gpu box": false, "a@127.0.0.1:9000/?": false, "x/../y?": false, "[::1]": false, "%zz": false, "h:80": false,
		"fe80::1%a/../?": false,
	} {
		if got := registry.ValidHost(host); got != valid {
			t.Errorf("%q: %v", host, got)
		}
	}
}
