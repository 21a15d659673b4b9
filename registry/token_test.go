package registry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

func TestShowToken(t *testing.T) {
	for _, c := range []struct{ url, token, want string }{
		{"http://box1:7830/x", "secret", "Bearer secret"},
		{"https://box1.example", "secret", "Bearer secret"},
		{"http://192.0.2.7:7830", "secret", "Bearer secret"},
		{"http://[2001:db8::7]:7830", "secret", "Bearer secret"},
		{"http://box1:7830", "", ""},
		{"http://127.0.0.1:7830", "secret", ""},
		{"https://127.3.4.5:7830", "secret", ""},
		{"http://[::1]:7830", "secret", ""},
		{"http://[::ffff:127.0.0.1]:7830", "secret", ""},
		{"http://LocalHost.:7830", "secret", ""},
		{"http://gui.localhost", "secret", ""},
		{"http://0.0.0.0:7830", "secret", ""},
		{"http://[::]:7830", "secret", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, c.url, nil)
		registry.ShowToken(r, c.token)
		if got := r.Header.Get("Authorization"); got != c.want {
			t.Errorf("%s is shown %q, not %q", c.url, got, c.want)
		}
	}
}

// Requests and watches show the token to a registry on another machine, and to none here.
// No error has it, not that of one that is no header.
func TestTheTokenIsShownToOtherMachinesAlone(t *testing.T) {
	const secret = "vEry-SeCret_tOken"
	var mu sync.Mutex
	var shown []string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		shown = append(shown, r.URL.Path+": "+r.Header.Get("Authorization"))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"status":401,"code":"token_needed","detail":"another one is wanted"}`)
	}))
	defer ts.Close()
	bad := dial(t, registry.Config{URL: "http://box1:7830", Token: secret + "\nof two lines"})
	if err := bad.Heartbeat(t.Context(), worker("w")); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("a token of two lines: %v", err)
	}
	for url, want := range map[string]string{ts.URL + "/": "", "http://box1:7830": "Bearer " + secret} {
		mu.Lock()
		shown = nil
		mu.Unlock()
		c := dial(t, registry.Config{URL: url, Token: secret})
		registry.ReachAt(c, ts.Listener.Addr().String())
		if err := c.Heartbeat(t.Context(), worker("w")); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", url, err)
		}
		for view := range c.Watch(t.Context()) {
			if view.Cause != nil {
				if strings.Contains(view.Cause.Error(), secret) {
					t.Errorf("%s: %v", url, view.Cause)
				}
				break
			}
		}
		mu.Lock()
		for _, path := range []string{"/v1/registry/heartbeat", "/v1/registry/watch", "/v1/registry/components"} {
			if !slices.Contains(shown, path+": "+want) {
				t.Errorf("%s was shown %q, not %q at %s", url, shown, want, path)
			}
		}
		mu.Unlock()
	}
}
