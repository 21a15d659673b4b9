package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// door stands before a registry: it can be shut, which cuts every connection as
// a dying registry does, and the registry behind it can be exchanged.
type door struct {
	shut        atomic.Bool
	behind      atomic.Pointer[http.Handler]
	notModified atomic.Int64 // answers with status 304
}

func (d *door) put(h http.Handler) { d.behind.Store(&h) }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.shut.Load() {
		panic(http.ErrAbortHandler)
	}
	(*d.behind.Load()).ServeHTTP(&watched{w, d}, r)
}

type watched struct {
	http.ResponseWriter
	door *door
}

// Unwrap is for http.ResponseController: a stream flushes.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watched) WriteHeader(status int) {
	if status == http.StatusNotModified {
		w.door.notModified.Add(1)
	}
	w.ResponseWriter.WriteHeader(status)
}

// open is a new registry behind a door, and a client of it.
func open(t *testing.T) (*door, *registry.Client) {
	t.Helper()
	d := &door{}
	d.put(server.New(server.Config{}).Handler())
	return d, clientOf(t, d)
}

func clientOf(t *testing.T, h http.Handler) *registry.Client {
	t.Helper()
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return dial(t, registry.Config{URL: ts.URL})
}

func dial(t *testing.T, cfg registry.Config) *registry.Client {
	t.Helper()
	c, err := registry.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func worker(id string) registry.Component {
	return registry.Component{Kind: registry.Worker, ID: id, InstanceID: "1", Hostname: "localhost", Port: 8080, WorkerType: "llm"}
}

func TestClientFromRegistrationToUnregistration(t *testing.T) {
	_, c := open(t)
	ctx := t.Context()
	beat, err := c.Register(ctx, worker("w"))
	if err != nil || beat != 15*time.Second {
		t.Fatalf("Register = %v, %v", beat, err)
	}
	if _, err := c.Register(ctx, registry.Component{Kind: registry.Hive, ID: "box", Hostname: "h", Port: 7835}); err != nil {
		t.Fatal(err)
	}
	queen, err := c.Queen(ctx)
	if err != nil || queen.Stale || queen.Value != nil {
		t.Errorf("without a queen: %+v, %v", queen, err)
	}
	if _, err := c.Register(ctx, registry.Component{Kind: registry.Queen, ID: "queen", Hostname: "h", Port: 7833}); err != nil {
		t.Fatal(err)
	}
	if queen, err = c.Queen(ctx); err != nil || queen.Value == nil || queen.Value.Port != 7833 {
		t.Errorf("with a queen: %+v, %v", queen, err)
	}
	for _, tt := range []struct {
		filter registry.Filter
		want   int
	}{
		{registry.Filter{}, 1},
		{registry.Filter{WorkerType: "llm", Status: "online"}, 1},
		{registry.Filter{WorkerType: "vllm"}, 0},
		{registry.Filter{Hive: "box"}, 0},
		{registry.Filter{WorkerType: "llm & co", Model: "m?=#"}, 0},
		{registry.Filter{Metadata: map[string]string{"zone": "a"}}, 0},
	} {
		workers, err := c.Workers(ctx, tt.filter)
		if err != nil || len(workers.Value) != tt.want {
			t.Errorf("%+v chooses %+v, %v", tt.filter, workers, err)
		}
	}
	if hives, err := c.Hives(ctx); err != nil || len(hives.Value) != 1 || hives.Value[0].ID != "box" {
		t.Errorf("the hives are %+v, %v", hives, err)
	}
	if err := c.Heartbeat(ctx, worker("w")); err != nil {
		t.Error(err)
	}
	if err := c.Unregister(ctx, worker("w")); err != nil {
		t.Error(err)
	}
	all, err := c.Components(ctx)
	if err != nil || len(all.Value.Workers) != 0 || len(all.Value.Hives) != 1 || all.Value.Queen == nil || all.Value.Revision != 4 {
		t.Errorf("in the end there are %+v, %v", all, err)
	}
}

func TestClientErrors(t *testing.T) {
	_, c := open(t)
	ctx := t.Context()
	old, young := worker("w"), worker("w")
	young.InstanceID = "2"
	queen := registry.Component{Kind: registry.Queen, ID: "one", Hostname: "h", Port: 7833}
	second := registry.Component{Kind: registry.Queen, ID: "two", Hostname: "h", Port: 7834}

	if err := c.Heartbeat(ctx, old); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a heartbeat of no one: %v", err)
	}
	for _, known := range []registry.Component{old, young, queen} {
		if _, err := c.Register(ctx, known); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Heartbeat(ctx, old); !errors.Is(err, registry.ErrSuperseded) {
		t.Errorf("a heartbeat of an old life: %v", err)
	}
	if err := c.Unregister(ctx, old); !errors.Is(err, registry.ErrSuperseded) {
		t.Errorf("an unregistration by an old life: %v", err)
	}
	_, err := c.Register(ctx, second)
	if !errors.Is(err, registry.ErrConflict) || errors.Is(err, registry.ErrSuperseded) {
		t.Errorf("a second queen: %v", err)
	}
	bad := worker("w")
	bad.Port = 0
	_, err = c.Register(ctx, bad)
	var refusal *registry.Refusal
	if !errors.As(err, &refusal) || refusal.Status != 422 || refusal.Code != "invalid_field" || refusal.Field != "port" {
		t.Errorf("port 0: %v", err)
	}
}

func TestAnswersOutliveTheRegistry(t *testing.T) {
	d, c := open(t)
	ctx := t.Context()
	if _, err := c.Register(ctx, worker("w")); err != nil {
		t.Fatal(err)
	}
	fresh, err := c.Workers(ctx, registry.Filter{})
	if err != nil || fresh.Stale || fresh.Cause != nil {
		t.Fatalf("the registry is there, and yet: %+v, %v", fresh, err)
	}

	d.shut.Store(true)
	stale, err := c.Workers(ctx, registry.Filter{})
	if err != nil || !stale.Stale || len(stale.Value) != 1 || stale.Value[0].ID != "w" {
		t.Errorf("without the registry: %+v, %v", stale, err)
	}
	if !stale.AsOf.Equal(fresh.AsOf) || !errors.Is(stale.Cause, registry.ErrUnreachable) {
		t.Errorf("it is as of %v because of %v, want %v", stale.AsOf, stale.Cause, fresh.AsOf)
	}
	if _, err := c.Hives(ctx); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("a query never answered before: %v", err)
	}

	d.shut.Store(false)
	again, err := c.Workers(ctx, registry.Filter{})
	if err != nil || again.Stale || !again.AsOf.After(fresh.AsOf) {
		t.Errorf("with the registry back: %+v, %v", again, err)
	}
}

func TestAnUnchangedAnswerIsNotSentAgain(t *testing.T) {
	d, c := open(t)
	ctx := t.Context()
	for step, register := range []string{"a", "", "", "b"} {
		if register != "" {
			if _, err := c.Register(ctx, worker(register)); err != nil {
				t.Fatal(err)
			}
		}
		before := d.notModified.Load()
		a, err := c.Workers(ctx, registry.Filter{})
		if err != nil || a.Stale {
			t.Fatal(a, err)
		}
		want := int64(1)
		if register != "" {
			want = 0
		}
		if got := d.notModified.Load() - before; got != want {
			t.Errorf("step %d: %d answers with status 304, want %d", step, got, want)
		}
		a.Value[0].ID = "a caller's own" // the next answer must not show it
	}
	a, err := c.Workers(ctx, registry.Filter{})
	if err != nil || len(a.Value) != 2 || a.Value[0].ID != "a" {
		t.Errorf("the last answer: %+v, %v", a, err)
	}
}

// Some servers answer every path with a page: that is neither an answer nor an
// unreachable registry.
func TestAWebPageIsNoRegistry(t *testing.T) {
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("<!doctype html>"))
	}))
	if err := c.Heartbeat(t.Context(), worker("w")); err == nil || errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("a heartbeat: %v", err)
	}
	if a, err := c.Workers(t.Context(), registry.Filter{}); err == nil {
		t.Errorf("a query: %+v", a)
	}
	c = clientOf(t, http.NotFoundHandler())
	if err := c.Heartbeat(t.Context(), worker("w")); err == nil || errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a heartbeat where there is no such path: %v", err)
	}
}

func TestARegistryThatHangsIsUnreachable(t *testing.T) {
	ts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the client leave
		<-r.Context().Done()
	}))
	defer ts.Close()
	c := dial(t, registry.Config{URL: ts.URL, Timeout: 20 * time.Millisecond})
	if err := c.Heartbeat(t.Context(), worker("w")); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("a heartbeat: %v", err)
	}
}

func TestHTTPS(t *testing.T) {
	ts := httptest.NewUnstartedServer(server.New(server.Config{}).Handler())
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that hangs up
	ts.StartTLS()
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	if _, err := dial(t, registry.Config{URL: ts.URL, TLS: &tls.Config{RootCAs: pool}}).Hives(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, registry.Config{URL: ts.URL}).Hives(t.Context()); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
}

func TestURL(t *testing.T) {
	for want, c := range map[string]registry.Component{
		"http://box:7835":   {Hostname: "box", Port: 7835, Metadata: map[string]any{registry.SchemeKey: "gopher"}},
		"http://[::1]:7835": {Hostname: "::1", Port: 7835},
		"https://box:7835":  {Hostname: "box", Port: 7835, Metadata: map[string]any{registry.SchemeKey: "https"}},
		"http://a%2Fb:80":   {Hostname: "a/b", Port: 80},
	} {
		if got := c.URL(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestNewClientWantsAURL(t *testing.T) {
	for _, bad := range []string{"localhost:7830", "/run/registry.sock", "ftp://localhost", "http://", "http://a b"} {
		if _, err := registry.NewClient(registry.Config{URL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
