package worker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/worker"
)

// running is a worker on a socket of its own.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error // what Run returned
}

// start runs a worker; the test's end stops it.
func start(t *testing.T, cfg worker.Config) running {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := running{url: "http://" + ln.Addr().String(), stop: stop, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.done <- worker.New(cfg).Run(ctx, ln)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		http.DefaultClient.CloseIdleConnections()
	})
	return r
}

// startReady is start, and waits for the worker to be healthy.
func startReady(t *testing.T, cfg worker.Config) running {
	t.Helper()
	r := start(t, cfg)
	r.await(t, http.StatusOK)
	return r
}

// await asks for /health until it answers with status.
func (r running) await(t *testing.T, status int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if resp, err := http.Get(r.url + "/health"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == status {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("/health never answered %d", status)
		}
	}
}

// ask sends body (none when empty) and decodes the answer's JSON.
func (r running) ask(t *testing.T, method, path, body string) (status int, header http.Header, answer map[string]any) {
	t.Helper()
	resp := r.send(t, method, path, body)
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: the answer is no JSON object: %v", method, path, err)
	}
	return resp.StatusCode, resp.Header, answer
}

func (r running) send(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// events reads a stream's data lines to its end, and returns how it ended.
func events(body io.Reader) (data []string, err error) {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "data: "); found {
			data = append(data, text)
		}
	}
	return data, lines.Err()
}

// at walks into decoded JSON: names for objects, numbers for lists.
func at(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[s]
		case int:
			l, _ := v.([]any)
			if s >= len(l) {
				return nil
			}
			v = l[s]
		}
	}
	return v
}
