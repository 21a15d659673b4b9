package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

const old, young = "01K0000000000000000000000A", "01K0000000000000000000000B"

// startQueen serves the real API; nothing here needs her loops.
func startQueen(t *testing.T) string {
	t.Helper()
	return serve(t, queen.New(queen.Config{}).Handler())
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func newClient(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func aWorker(instance string) registry.Component {
	return registry.Component{
		Kind: registry.Worker, ID: "worker/1 ?", InstanceID: instance, Hostname: "localhost", Port: 1,
		WorkerType: "llm", Model: "tiny", Metadata: map[string]any{"a": "b"},
	}
}

func TestALifeFromRegistrationToEnd(t *testing.T) {
	t.Parallel()
	c := newClient(t, client.Config{URL: startQueen(t) + "/", SpawnedBy: "gui"})
	w := aWorker(old)
	if err := c.Heartbeat(t.Context(), w); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a beat before registering: %v", err)
	}
	if beat, err := c.Register(t.Context(), w); err != nil || beat != 30*time.Second {
		t.Errorf("registered: beat every %v, %v", beat, err)
	}
	if err := c.Heartbeat(t.Context(), w); err != nil {
		t.Error(err)
	}
	list, err := c.Workers(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if got := list[0]; got.WorkerID != w.ID || got.InstanceID != old || got.Status != registry.Online ||
		got.SpawnedBy != "gui" || got.Model != "tiny" || got.Metadata["a"] != "b" {
		t.Errorf("listed is %+v", got)
	}
	if _, err := c.Register(t.Context(), aWorker(young)); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"beat":         c.Heartbeat(t.Context(), w),
		"goodbye":      c.Unregister(t.Context(), w),
		"registration": second(c.Register(t.Context(), w)),
	} {
		if !errors.Is(err, registry.ErrSuperseded) {
			t.Errorf("the old instance's %s: %v", what, err)
		}
	}
	if err := c.Unregister(t.Context(), aWorker(young)); err != nil {
		t.Error(err)
	}
	if err := c.Unregister(t.Context(), aWorker(young)); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a second goodbye: %v", err)
	}
}

func second(_ time.Duration, err error) error { return err }

func TestErrorsTellWhatHappened(t *testing.T) {
	t.Parallel()
	var refused *registry.Refusal
	c := newClient(t, client.Config{URL: startQueen(t)})
	bad := aWorker(old)
	bad.Port = 0
	if _, err := c.Register(t.Context(), bad); !errors.As(err, &refused) || refused.Field != "port" || refused.Status != 422 {
		t.Errorf("port 0: %v", err)
	}
	stranger := newClient(t, client.Config{URL: serve(t, http.NotFoundHandler())})
	if err := stranger.Heartbeat(t.Context(), bad); !errors.As(err, &refused) || refused.Status != 404 || errors.Is(err, registry.ErrUnknown) {
		t.Errorf("a stranger's 404: %v", err)
	}
	page := newClient(t, client.Config{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<html>")
	}))})
	if _, err := page.Register(t.Context(), aWorker(old)); err == nil {
		t.Error("a web page with status 200 is taken for the queen")
	}
	moved := newClient(t, client.Config{URL: serve(t, http.RedirectHandler(startQueen(t), http.StatusTemporaryRedirect))})
	if err := moved.Heartbeat(t.Context(), bad); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("a redirect: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	nobody := newClient(t, client.Config{URL: gone.URL})
	if err := nobody.Heartbeat(t.Context(), bad); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("a closed port: %v", err)
	}
}

func TestAQueenThatHangsIsUnreachable(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts nothing, answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := newClient(t, client.Config{URL: "http://" + ln.Addr().String(), Timeout: 10 * time.Millisecond})
	if err := c.Heartbeat(t.Context(), aWorker(old)); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestTheQueenIsSoughtAtEveryAttempt(t *testing.T) {
	t.Parallel()
	at, failure := "", errors.New("not yet")
	c := newClient(t, client.Config{Find: func(context.Context) (string, error) { return at, failure }})
	if err := c.Heartbeat(t.Context(), aWorker(old)); !errors.Is(err, failure) {
		t.Errorf("while there is none: %v", err)
	}
	at, failure = startQueen(t), nil
	if _, err := c.Register(t.Context(), aWorker(old)); err != nil {
		t.Error(err)
	}
	at = startQueen(t) // she moved
	if err := c.Heartbeat(t.Context(), aWorker(old)); !errors.Is(err, registry.ErrUnknown) {
		t.Errorf("at her new place: %v", err)
	}
}

func TestThroughTheRegistryElseTheDefault(t *testing.T) {
	t.Parallel()
	reg, err := registry.NewClient(registry.Config{URL: serve(t, server.New(server.Config{}).Handler())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	find := client.Through(reg)
	if got, err := find(t.Context()); err != nil || got != client.DefaultURL {
		t.Errorf("without a queen: %q, %v", got, err)
	}
	if _, err := reg.Register(t.Context(), registry.Component{Kind: registry.Queen, ID: "queen", Hostname: "::1", Port: 7}); err != nil {
		t.Fatal(err)
	}
	if got, err := find(t.Context()); err != nil || got != "http://[::1]:7" {
		t.Errorf("with a queen: %q, %v", got, err)
	}
	her := registry.Component{
		Kind: registry.Queen, ID: "queen", Hostname: "::1", Port: 7, Metadata: map[string]any{registry.SchemeKey: "https"},
	}
	if _, err := reg.Register(t.Context(), her); err != nil {
		t.Fatal(err)
	}
	if got, err := find(t.Context()); err != nil || got != "https://[::1]:7" {
		t.Errorf("with one of TLS: %q, %v", got, err)
	}
}

// A registry and a queen on another machine, where she calls herself localhost.
func TestThroughARegistryElsewhere(t *testing.T) {
	reg, err := registry.NewClient(registry.Config{URL: elsewhere(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	if _, err := reg.Register(t.Context(), registry.Component{Kind: registry.Queen, ID: "queen", Hostname: "localhost", Port: 7833}); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Through(reg)(t.Context()); err != nil || got != "http://box2.test:7833" {
		t.Errorf("she is at %q, %v", got, err)
	}
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	ts := httptest.NewUnstartedServer(queen.New(queen.Config{}).Handler())
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that hangs up
	ts.StartTLS()
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	for _, test := range []struct {
		name string
		tls  *tls.Config
		ok   bool
	}{{"its CA", &tls.Config{RootCAs: pool}, true}, {"the system's", nil, false}} {
		c, err := client.New(client.Config{URL: ts.URL, TLS: test.tls})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Workers(t.Context()); (err == nil) != test.ok || (!test.ok && !errors.Is(err, registry.ErrUnreachable)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestNewRefusesWhatIsNoURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"box1:7833", "ftp://box1", "http://", "http://a b"} {
		if c, err := client.New(client.Config{URL: url}); err == nil || !strings.HasPrefix(err.Error(), "use ") {
			t.Errorf("%q: %v, %v", url, c, err)
		}
	}
}

// The queen is shown the token where she is on another machine, wherever she was before.
func TestTheTokenIsShownToOtherMachinesAlone(t *testing.T) {
	var shown []string
	at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown = append(shown, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `[]`)
	}))
	she := []string{"http://box1:7833", "http://localhost:7833", "http://127.0.0.1:7833", "http://192.0.2.7:7833/"}
	c, err := client.New(client.Config{Token: "secret", Find: func(context.Context) (string, error) {
		return she[len(shown)], nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client.ReachAt(c, strings.TrimPrefix(at, "http://"))
	for range she {
		if _, err := c.Workers(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"Bearer secret", "", "", "Bearer secret"}; !slices.Equal(shown, want) {
		t.Errorf("at %q she was shown %q", she, shown)
	}
}

// Errors go to logs and terminals: none has the token, not that of one that is no header.
func TestNoErrorHasTheToken(t *testing.T) {
	const secret = "vEry-SeCret_tOken"
	at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("Authorization"), secret) {
			t.Errorf("%s %s without the token", r.Method, r.URL)
		}
		if r.Method == http.MethodGet {
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		http.Error(w, "another one is wanted", http.StatusUnauthorized)
	}))
	for _, token := range []string{secret, secret + "\nof two lines"} {
		c, err := client.New(client.Config{URL: "http://box1:7833", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		client.ReachAt(c, strings.TrimPrefix(at, "http://"))
		_, listed := c.Workers(t.Context())
		for _, err := range []error{listed, c.Heartbeat(t.Context(), registry.Component{ID: "w"})} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("with %q: %v", token, err)
			}
		}
	}
}
