package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// A certificate of a CA that is not known says so, wherever it is met; another name on it is
// another matter, and a registry that is spoken to without TLS has its own words.
func TestWhyNoTLS(t *testing.T) {
	ts := httptest.NewUnstartedServer(server.New(server.Config{}).Handler())
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the clients that hang up
	ts.StartTLS()
	defer ts.Close()
	known := x509.NewCertPool()
	known.AddCert(ts.Certificate())
	const asText = "unknown authority (--tls-ca FILE names the CA that has signed it)"
	for _, c := range []struct {
		name      string
		cfg       registry.Config
		text      string
		untrusted bool
	}{
		{"an unknown CA", registry.Config{URL: ts.URL}, asText, true},
		{"another CA", registry.Config{URL: ts.URL, TLS: &tls.Config{RootCAs: x509.NewCertPool()}}, asText, true},
		{"another name", registry.Config{URL: "https://box1:7830", TLS: &tls.Config{RootCAs: known}}, "not box1", false},
		{"no TLS", registry.Config{URL: strings.Replace(ts.URL, "https", "http", 1)}, "it speaks TLS: its URL begins with https://", false},
	} {
		client := dial(t, c.cfg)
		registry.ReachAt(client, ts.Listener.Addr().String())
		_, asked := client.Components(t.Context())
		var watched error
		for view := range client.Watch(t.Context()) {
			if watched = view.Cause; watched != nil {
				break
			}
		}
		for what, err := range map[string]error{"components": asked, "a watch": watched, "a heartbeat": client.Heartbeat(t.Context(), worker("w"))} {
			if err == nil || strings.Count(err.Error(), c.text) == 0 || errors.Is(err, registry.ErrUntrusted) != c.untrusted {
				t.Errorf("%s, %s: %v", c.name, what, err)
			}
			if refused := (*registry.Refusal)(nil); errors.As(err, &refused) == errors.Is(err, registry.ErrUnreachable) {
				t.Errorf("%s, %s: it is answered, or it is not: %v", c.name, what, err)
			}
		}
	}
}
