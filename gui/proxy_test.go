package gui_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/worker"
)

// startHive serves a real hive's API.
func startHive(t *testing.T, id string) (at string) {
	t.Helper()
	cfg := hereConfig(t)
	cfg.ID = id
	h, err := hive.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	at, _ = run(t, h.Run)
	return at
}

// Through us a hive is asked and told what its API has for workers, and nothing else.
func TestToHive(t *testing.T) {
	reg, client := startRegistry(t)
	register(t, client, registry.Hive, "box/2", startHive(t, "box/2"))
	at, _ := startGUI(t, gui.Config{RegistryURL: reg})
	openStream(t, at).awaitComponent("hive/box/2", whatever)
	base := at + "/api/hives/box%2F2"
	if a := ask(t, http.MethodGet, base+"/capabilities", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"component_id":"box/2"`) {
		t.Errorf("its capabilities: %d, %s", a.status, a.body)
	}
	if a := ask(t, http.MethodGet, base+"/v1/hive/workers", ""); a.status != http.StatusOK || a.body != "[]\n" {
		t.Errorf("its workers: %d, %s", a.status, a.body)
	}
	if a := ask(t, http.MethodPost, base+"/v1/hive/workers", `{"engine":"no-such"}`); a.status != http.StatusUnprocessableEntity || a.code() != "no_engine" {
		t.Errorf("a spawn: %d, %s", a.status, a.body)
	}
	if a := ask(t, http.MethodDelete, base+"/v1/hive/workers/a%2Fb", ""); a.code() != "unknown_worker" || !strings.Contains(a.body, `a/b`) {
		t.Errorf("a stop: %d, %s", a.status, a.body)
	}
	for path, want := range map[string]int{
		"/metrics":                             http.StatusNotFound,
		"/v1/hive/..%2f..%2fmetrics":           http.StatusNotFound,
		"/v1/hive/workers/%2e%2e/%2e%2e/x":     http.StatusNotFound,
		"/v1/hive/workers/..%2f..%2f..%2flogs": http.StatusNotFound, // a worker that there is none of
		"/openapi.json":                        http.StatusNotFound,
		"":                                     http.StatusNotFound,
	} {
		if a := ask(t, http.MethodGet, base+path, ""); a.status != want {
			t.Errorf("%s: %d, %s", path, a.status, a.body)
		}
	}
	if a := ask(t, http.MethodPut, base+"/capabilities", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("a PUT: %d", a.status)
	}
	if a := ask(t, http.MethodGet, at+"/api/hives/box/capabilities", ""); a.status != http.StatusNotFound || a.code() != "unknown_component" {
		t.Errorf("another hive: %d, %s", a.status, a.body)
	}
}

// Nothing of the page's user goes along, and no answer acts as if it were the page.
func TestPassedOnTamed(t *testing.T) {
	var got *http.Request
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.WithoutCancel(r.Context()))
		for name, value := range map[string]string{
			"Content-Type": "text/html", "Set-Cookie": "a=b", "Location": "http://evil.example/", "Refresh": "0; url=//evil.example",
			"Access-Control-Allow-Origin": "*", "Clear-Site-Data": "*", "Content-Security-Policy": "default-src *", "Retry-After": "7",
			"Strict-Transport-Security": "max-age=1000000",
		} {
			w.Header().Set(name, value)
		}
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(stranger.Close)
	reg, client := startRegistry(t)
	register(t, client, registry.Worker, "a/b", stranger.URL)
	at, _ := startGUI(t, gui.Config{RegistryURL: reg, Token: token})
	openStream(t, at).awaitComponent("worker/a/b", whatever)
	a := ask(t, http.MethodGet, at+"/api/workers/a%2Fb/v1/models?q=%2F", "",
		"Cookie", "c=d", "Authorization", "Bearer x", "Referer", "http://page/", "Upgrade", "websocket", "Connection", "Upgrade", "Accept", "a/b")
	if got == nil {
		t.Fatalf("it was not asked: %d, %s", a.status, a.body)
	}
	if got.RequestURI != "/v1/models?q=%2F" || "http://"+got.Host != stranger.URL || got.Header.Get("Accept") != "a/b" {
		t.Errorf("it was asked %s of %s, %v", got.RequestURI, got.Host, got.Header)
	}
	for _, name := range []string{"Cookie", "Authorization", "Referer", "Upgrade", "X-Forwarded-For", "Forwarded"} {
		if value := got.Header.Get(name); value != "" {
			t.Errorf("it is told %s: %s", name, value)
		}
	}
	for _, name := range []string{"Set-Cookie", "Location", "Refresh", "Access-Control-Allow-Origin", "Clear-Site-Data", "Strict-Transport-Security"} {
		if value := a.header.Get(name); value != "" {
			t.Errorf("it may say %s: %s", name, value)
		}
	}
	if a.header.Get("Retry-After") != "7" || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") ||
		len(a.header.Values("Content-Security-Policy")) != 1 || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("its answer has %v", a.header)
	}
	for _, path := range []string{"/health", "/v1/hive/workers", "/v1/%2e%2e/health", "/v1/..%2fhealth"} {
		if a := ask(t, http.MethodGet, at+"/api/workers/a%2Fb"+path, ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// What a hive has begun is told with where it is here; nothing else that it says leads
// anywhere.
func TestPlaceOfWhatWasBegun(t *testing.T) {
	status, at := http.StatusAccepted, ""
	begins := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.Header.Get("X-Forwarded-Prefix")+at)
		w.WriteHeader(status)
	}))
	t.Cleanup(begins.Close)
	reg, client := startRegistry(t)
	register(t, client, registry.Hive, "box/2", begins.URL)
	gui, _ := startGUI(t, gui.Config{RegistryURL: reg})
	openStream(t, gui).awaitComponent("hive/box/2", whatever)
	for _, c := range []struct {
		status   int
		at, want string
	}{
		{http.StatusAccepted, "/v1/hive/operations/1", "/api/hives/box%2F2/v1/hive/operations/1"},
		{http.StatusFound, "/v1/hive/operations/1", ""},
		{http.StatusAccepted, ".evil.example/", ""},
	} {
		status, at = c.status, c.at
		a := ask(t, http.MethodPost, gui+"/api/hives/box%2F2/v1/hive/workers", "{}", "X-Forwarded-Prefix", "/elsewhere")
		if a.status != c.status || a.header.Get("Location") != c.want {
			t.Errorf("%d %s: %d, %s", c.status, c.at, a.status, a.header.Get("Location"))
		}
	}
}

func TestUnreachable(t *testing.T) {
	reg, client := startRegistry(t)
	register(t, client, registry.Worker, "w", closedURL(t))
	odd := registry.Component{Kind: registry.Worker, ID: "odd", InstanceID: "i", Hostname: "a b", Port: 80, WorkerType: "llm"}
	_, refused := client.Register(t.Context(), odd)
	at, _ := startGUI(t, gui.Config{RegistryURL: reg, QueenURL: new("")})
	openStream(t, at).awaitComponent("worker/w", whatever)
	if a := ask(t, http.MethodPost, at+"/api/workers/w/v1/chat/completions", "{}"); a.status != http.StatusBadGateway || a.code() != "unreachable" {
		t.Errorf("it answers %d, %s", a.status, a.body)
	}
	if refused == nil {
		openStream(t, at).awaitComponent("worker/odd", whatever)
		if a := ask(t, http.MethodGet, at+"/api/workers/odd/v1/models", ""); a.status != http.StatusBadGateway || a.code() != "unreachable" {
			t.Errorf("an address that is none: %d, %s", a.status, a.body)
		}
	}
	if a := ask(t, http.MethodGet, at+"/api/workers/other/v1/models", ""); a.status != http.StatusNotFound || a.code() != "unknown_component" {
		t.Errorf("one that there is none of: %d, %s", a.status, a.body)
	}
	if a := ask(t, http.MethodGet, at+"/api/queen/v1/models", ""); a.status != http.StatusServiceUnavailable || a.code() != "no_queen" {
		t.Errorf("no queen: %d, %s", a.status, a.body)
	}
}

// A worker that is only starting here can't be talked to yet.
func TestNoAddressYet(t *testing.T) {
	c := gui.NewCluster("localhost", time.Minute)
	c.Look(launch.Launch{ID: "w", InstanceID: "i", Status: launch.Starting})
	srv := httptest.NewServer(c.ToWorker())
	t.Cleanup(srv.Close)
	if a := ask(t, http.MethodGet, srv.URL+"/api/workers/w/v1/models", ""); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "starting") {
		t.Errorf("it answers %d, %s", a.status, a.body)
	}
}

// The queen is the one that the registry knows, now and not when we started.
func TestToQueen(t *testing.T) {
	reg, client := startRegistry(t)
	at, _ := startGUI(t, gui.Config{RegistryURL: reg})
	page := openStream(t, at)
	page.awaitComponent("gui/gui", whatever)
	if a := ask(t, http.MethodGet, at+"/api/queen/v1/queen/operations", ""); a.code() != "no_queen" {
		t.Errorf("before there is one: %d, %s", a.status, a.body)
	}
	queenAt, _ := run(t, queen.New(queen.Config{}).Run)
	register(t, client, registry.Queen, "queen", queenAt)
	page.awaitComponent("queen/queen", whatever)
	if a := ask(t, http.MethodGet, at+"/api/queen/v1/queen/operations", ""); a.status != http.StatusOK || a.body != "[]\n" {
		t.Errorf("she answers %d, %s", a.status, a.body)
	}
	for _, path := range []string{"/v1/queen/workers", "/v1/queen/heartbeat", "/capabilities", "/metrics"} {
		if a := ask(t, http.MethodGet, at+"/api/queen"+path, ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// startWorker runs a real one that the page can be asked for.
func startWorker(t *testing.T, cfg worker.Config) (workerAt, guiAt string) {
	t.Helper()
	reg, _ := startRegistry(t)
	cfg.WorkerID, cfg.RegistryURL, cfg.Advertise = "w", reg, "127.0.0.1"
	workerAt, _ = run(t, func(ctx context.Context, ln net.Listener) error {
		if err := worker.New(cfg).Run(ctx, ln); !errors.Is(err, worker.ErrCrashed) {
			return err
		}
		return nil
	})
	guiAt, _ = startGUI(t, gui.Config{RegistryURL: reg})
	openStream(t, guiAt).awaitComponent("worker/w", whatever)
	return workerAt, guiAt
}

const longChat = `{"model":"rbee-simulation","stream":true,"messages":[{"role":"user","content":"Tell me a long story."}],"max_tokens":100000}`

// A chat comes word by word, and a page that goes away ends it at the worker.
func TestChatStreams(t *testing.T) {
	workerAt, at := startWorker(t, worker.Config{TokensPerSecond: 10, ContextLength: 1 << 20})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at+"/api/workers/w/v1/chat/completions", strings.NewReader(longChat))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := fresh().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if media := resp.Header.Get("Content-Type"); !strings.HasPrefix(media, "text/event-stream") {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("it answers with %s: %s", media, text)
	}
	lines := bufio.NewScanner(resp.Body) // the answer as a whole takes hours
	for words := 0; words < 3 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			words++
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	leave()
	const aborted = `rbee_worker_requests_total{endpoint="chat",result="aborted"} 1`
	for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if a := ask(t, http.MethodGet, workerAt+"/metrics", ""); strings.Contains(a.body, aborted) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the worker goes on with an answer that nobody reads")
		}
	}
}

// An answer that breaks off does not end as if it were whole.
func TestCutChatIsCut(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dying := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: {}\n\n")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})}
	go func() { _ = dying.Serve(ln) }()
	t.Cleanup(func() { _ = dying.Close() })
	reg, client := startRegistry(t)
	register(t, client, registry.Worker, "w", "http://"+ln.Addr().String())
	at, _ := startGUI(t, gui.Config{RegistryURL: reg})
	openStream(t, at).awaitComponent("worker/w", whatever)
	a := ask(t, http.MethodPost, at+"/api/workers/w/v1/chat/completions", longChat)
	if a.status != http.StatusOK || a.body != "data: {}\n\n" || !errors.Is(a.err, io.ErrUnexpectedEOF) {
		t.Errorf("it reads as %d, %q, %v", a.status, a.body, a.err)
	}
}

// So it is for a worker that dies before it has said anything: a crash is an error, and
// the next word is that it can't be reached.
func TestCrashedWorker(t *testing.T) {
	_, at := startWorker(t, worker.Config{Faults: worker.Faults{CrashOn: 1}})
	chat := `{"model":"rbee-simulation","messages":[{"role":"user","content":"Hello!"}]}`
	for range 2 {
		if a := ask(t, http.MethodPost, at+"/api/workers/w/v1/chat/completions", chat); a.status != http.StatusBadGateway || a.code() != "unreachable" {
			t.Errorf("it answers %d, %s", a.status, a.body)
		}
	}
}
