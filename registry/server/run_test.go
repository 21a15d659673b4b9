package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// start runs a registry on a port of its own until the test ends.
func start(tb testing.TB, cfg server.Config) (url string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return startOn(tb, ln, cfg)
}

func startOn(tb testing.TB, ln net.Listener, cfg server.Config) (url string) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Run(ctx, ln, cfg) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("the registry's end is an error: %v", err)
		}
	})
	return "http://" + ln.Addr().String()
}

// testClient is a client whose connections end with the test.
func testClient(tb testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestRunServesLoopbackAndRefusesWebPages(t *testing.T) {
	url, client := start(t, server.Config{}), testClient(t)
	for _, tt := range []struct {
		name, header, value string
		status              int
	}{
		{"this machine", "", "", 200},
		{"a web page's request", "Origin", "http://evil.example", 403},
		{"a name that leads here", "Host", "evil.example", 403},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/registry/register",
			strings.NewReader(`{"hive_id":"box","hostname":"localhost","port":7835}`))
		if err != nil {
			t.Fatal(err)
		}
		if tt.header == "Host" {
			r.Host = tt.value
		} else if tt.header != "" {
			r.Header.Set(tt.header, tt.value)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, resp.StatusCode, tt.status, body)
		}
	}
}

// A page in the user's browser can neither follow what changes nor read the metrics.
func TestEveryPathRefusesWebPages(t *testing.T) {
	url, client := start(t, server.Config{}), testClient(t)
	for _, path := range []string{
		"/v1/registry/watch", "/v1/registry/watch?since=0&wait=1m", "/v1/registry/components", "/v1/registry/workers",
		"/v1/registry/hives", "/v1/registry/queen", "/metrics", "/health", "/nothing",
	} {
		for header, code := range map[string]string{"Host": "foreign_host", "Origin": "foreign_origin"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if header == "Host" {
				r.Host = "evil.example"
			} else {
				r.Header.Set(header, "http://evil.example")
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 403 || !strings.Contains(string(body), code) {
				t.Errorf("%s with a foreign %s: status %d: %s", path, header, resp.StatusCode, body)
			}
		}
	}
}

func TestRunReportsABrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := server.Run(t.Context(), ln, server.Config{}); err == nil {
		t.Error("serving on a closed listener is no error")
	}
}
