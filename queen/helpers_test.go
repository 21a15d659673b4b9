package queen_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// run runs a server on a socket of its own. stop ends it, and so does the test.
func run(t *testing.T, serve func(context.Context, net.Listener) error) (url string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln); close(done) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

func startQueen(t *testing.T, cfg queen.Config) (url string, stop func()) {
	t.Helper()
	if cfg.PollInterval == 0 {
		cfg.PollInterval = 5 * time.Millisecond
	}
	return run(t, queen.New(cfg).Run)
}

func startRegistry(t *testing.T) (url string) {
	t.Helper()
	url, _ = run(t, func(ctx context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
	return url
}

func registryClient(t *testing.T, url string) *registry.Client {
	t.Helper()
	c, err := registry.NewClient(registry.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func queenClient(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url, SpawnedBy: "gui"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// await asks for the workers until they are as wanted.
func await(t *testing.T, c *client.Client, what string, wanted func([]client.Worker) bool) []client.Worker {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		list, err := c.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if wanted(list) {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s; the workers are %+v", what, list)
		}
	}
}

// modelServer is a worker's HTTP side, with the given answer to /capabilities.
func modelServer(t *testing.T, capabilities http.HandlerFunc) registry.Component {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/capabilities", capabilities)
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return componentAt(t, srv.URL)
}

func componentAt(t *testing.T, url string) registry.Component {
	t.Helper()
	host, portText, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	return registry.Component{
		Kind: registry.Worker, ID: "worker-llm-" + portText, Hostname: host, Port: port, WorkerType: "llm", Model: "tiny",
	}
}

func tells(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// ask sends body and decodes the answer's JSON object, if it is one.
func ask(t *testing.T, method, url, body string) (status int, header http.Header, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true // leave no connection behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(text, &answer)
	return resp.StatusCode, resp.Header, answer
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func containsAll(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}
