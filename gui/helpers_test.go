package gui_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// limit bounds each wait; all of them end as soon as what they wait for has happened.
const limit = time.Minute

// run runs a server on a socket of its own. stop ends it and waits for that, and so does
// the test's end.
func run(t *testing.T, serve func(context.Context, net.Listener) error) (at string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(ctx, ln); err != nil {
			t.Errorf("it ended: %v", err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

// startGUI runs one that sees no launches of others.
func startGUI(t *testing.T, cfg gui.Config) (at string, stop func()) {
	t.Helper()
	return run(t, newGUI(t, cfg).Run)
}

func newGUI(t *testing.T, cfg gui.Config) *gui.GUI {
	t.Helper()
	cfg.Here = hereConfig(t)
	g, err := gui.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// hereConfig is a hive that has nothing to start keepers with.
func hereConfig(t *testing.T) hive.Config {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/engines.yaml", nil, 0o600); err != nil { // not the user's own
		t.Fatal(err)
	}
	return hive.Config{RuntimeDir: dir + "/run", StateDir: dir + "/state", EngineFile: dir + "/engines.yaml"}
}

// startRegistry runs a real one, and gives a client of it.
func startRegistry(t *testing.T) (at string, client *registry.Client) {
	t.Helper()
	at, _ = run(t, func(ctx context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
	client, err := registry.NewClient(registry.Config{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return at, client
}

// register makes the server at a URL known, as a component of that kind and id.
func register(t *testing.T, c *registry.Client, kind registry.Kind, id, at string) registry.Component {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	who := registry.Component{Kind: kind, ID: id, InstanceID: "one", Hostname: u.Hostname(), Port: port}
	if kind == registry.Worker {
		who.WorkerType = "llm"
	}
	if _, err := c.Register(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	return who
}

// message is one server-sent event; its data is decoded JSON.
type message struct {
	name string
	data any
}

// stream is one open page.
type stream struct {
	t     *testing.T
	body  io.Closer
	lines *bufio.Scanner
}

func openStream(t *testing.T, at string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/api/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := fresh().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("it answers %s, %q", resp.Status, resp.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 16<<20)
	return &stream{t, resp.Body, lines}
}

// next is the next event; false at the stream's end.
func (s *stream) next() (m message, more bool) {
	s.t.Helper()
	return readMessage(s.t, s.lines)
}

func readMessage(t *testing.T, lines *bufio.Scanner) (m message, more bool) {
	t.Helper()
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "event":
			m.name = value
		case name == "data":
			if err := json.Unmarshal([]byte(value), &m.data); err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
		case lines.Text() == "" && m.name != "":
			return m, true
		}
	}
	return m, false
}

// await is the first event from here on that is wanted.
func (s *stream) await(what string, wanted func(message) bool) message {
	s.t.Helper()
	for {
		m, more := s.next()
		if !more {
			s.t.Fatalf("the stream ended before %s: %v", what, s.lines.Err())
		}
		if wanted(m) {
			return m
		}
	}
}

// awaitComponent waits for a component that is told of and fits.
func (s *stream) awaitComponent(key string, fits func(map[string]any) bool) map[string]any {
	s.t.Helper()
	var found map[string]any
	s.await(key, func(m message) bool {
		for _, list := range []string{"components", "upsert"} {
			for _, c := range listed(m.data, list) {
				if c["key"] == key && fits(c) {
					found = c
				}
			}
		}
		return found != nil
	})
	return found
}

func whatever(map[string]any) bool { return true }

// listed are the objects in a list of an object's, or in the list that data is.
func listed(data any, field string) (all []map[string]any) {
	if object, ok := data.(map[string]any); ok {
		data = object[field]
	}
	list, _ := data.([]any)
	for _, x := range list {
		if fields, ok := x.(map[string]any); ok {
			all = append(all, fields)
		}
	}
	return all
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// code is the stable code of a problem.
func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(a.body), &p) // what is no JSON has none
	return p.Code
}

// fresh is a client that keeps no connections, since ports are another server's in the next
// test, and goes where it is told to alone.
func fresh() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func ask(t *testing.T, method, at, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := fresh().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text), err}
}

// closedURL is where nobody listens, now or later: the port is a connection's other end.
func closedURL(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return "http://" + conn.LocalAddr().String()
}

func has(c map[string]any, field, want string) bool {
	got, _ := c[field].(string)
	return cmp.Or(got, "(none)") == want
}
