package client_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/registry"
)

// TestOperation: an operation is begun, looked at and cancelled at its id, whatever that
// is.
func TestOperation(t *testing.T) {
	t.Parallel()
	store, h := newStore(t)
	id := begin(t, store, func(op *operation.Running) {
		<-op.Cancelled()
		op.End(func(o *client.Operation) { o.Error = &client.Failure{Detail: "cancelled"} })
	})
	c := newClient(t, client.Config{URL: serve(t, h.ServeHTTP) + "/"})
	if op, err := c.Operation(t.Context(), id); err != nil || op.Status != client.Running {
		t.Errorf("%+v, %v", op, err)
	}
	if err := c.Cancel(t.Context(), id); err != nil {
		t.Error(err)
	}
	if op, err := c.Follow(within(t), id, nil); err != nil || op.Error == nil || op.Error.Detail != "cancelled" {
		t.Errorf("%+v, %v", op, err)
	}
	var refused *registry.Refusal
	if _, err := c.Operation(t.Context(), "a/../b"); !errors.As(err, &refused) || refused.Code != client.CodeUnknownOperation {
		t.Errorf("unknown: %v", err)
	}
}

// Errors go to logs and terminals: none has the token, not that of one that is no header.
func TestNoErrorHasTheToken(t *testing.T) {
	t.Parallel()
	const secret = "vEry-SeCret_tOken"
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Header.Get("Authorization"), secret) {
			t.Errorf("%s %s without the token", r.Method, r.URL)
		}
		if r.Method == http.MethodDelete {
			http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
			return
		}
		httpd.WriteProblem(w, httpd.Errorf(http.StatusUnauthorized, "token_needed", "another one is wanted"))
	})
	for _, token := range []string{secret, secret + "\nof two lines"} {
		c := newClient(t, client.Config{URL: "http://box2:7835", Token: token})
		client.ReachAt(c, strings.TrimPrefix(at, "http://"))
		_, listed := c.Workers(t.Context())
		_, asked := c.Operation(t.Context(), "x")
		for _, err := range []error{listed, c.Stop(t.Context(), "x"), asked} {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("with %q: %v", token, err)
			}
		}
	}
}

// A hive on this machine is shown no token: the port may be another user's.
func TestNoTokenHere(t *testing.T) {
	t.Parallel()
	asked := 0
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		if shown := r.Header.Get("Authorization"); shown != "" {
			t.Errorf("%s %s shows %q", r.Method, r.URL, shown)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[]`)
	})
	c := newClient(t, client.Config{URL: at, Token: "secret"})
	_, list := c.Workers(t.Context())
	if err := errors.Join(list, c.Stop(t.Context(), "w")); err != nil || asked != 2 {
		t.Errorf("it was asked %d times: %v", asked, err)
	}
}

// TestRequests: what is sent, with ids that are no plain words, and the token.
func TestRequests(t *testing.T) {
	t.Parallel()
	var got []string
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.EscapedPath()+" "+string(body))
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s %s without the token", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + r.URL.Path {
		case "GET/v1/hive/workers":
			_, _ = io.WriteString(w, `[{"worker_id":"w"}]`)
		default:
			_, _ = io.WriteString(w, `{"operation_id":"one","cores":4,"hive_id":"h"}`)
		}
	})
	c := newClient(t, client.Config{URL: "http://box2:7835", Token: "secret"})
	client.ReachAt(c, strings.TrimPrefix(at, "http://"))
	if op, err := c.Spawn(t.Context(), client.SpawnRequest{Model: "tiny", Args: []string{"-x"}}); err != nil || op.ID != "one" {
		t.Errorf("%+v, %v", op, err)
	}
	if list, err := c.Workers(t.Context()); err != nil || len(list) != 1 || list[0].WorkerID != "w" {
		t.Errorf("%+v, %v", list, err)
	}
	if w, err := c.Worker(t.Context(), "worker-a/b"); err != nil || w.HiveID != "h" {
		t.Errorf("%+v, %v", w, err)
	}
	if err := c.Stop(t.Context(), "worker-a/b-8080@box 2"); err != nil {
		t.Error(err)
	}
	var can struct{ Cores int }
	if err := c.Capabilities(t.Context(), &can); err != nil || can.Cores != 4 {
		t.Errorf("%+v, %v", can, err)
	}
	want := `POST /v1/hive/workers {"worker_type":"","model":"tiny","args":["-x"]}
GET /v1/hive/workers 
GET /v1/hive/workers/worker-a%2Fb 
DELETE /v1/hive/workers/` + url.PathEscape("worker-a/b-8080@box 2") + ` 
GET /capabilities `
	if strings.Join(got, "\n") != want {
		t.Errorf("sent\n%s, not\n%s", strings.Join(got, "\n"), want)
	}
}

// TestErrors: a hive's refusals come with all they say; who is not there is unreachable.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"localhost:7835", "ftp://x", "http://", "http://%"} {
		if _, err := client.New(client.Config{URL: bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	refuses := newClient(t, client.Config{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) {
		httpd.WriteProblem(w, httpd.InvalidField("port", "it is no port"))
	})})
	redirects := newClient(t, client.Config{URL: serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("a redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})})
	hangs := newClient(t, client.Config{Timeout: 50 * time.Millisecond, URL: serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
		<-r.Context().Done()
	})})
	away := newClient(t, client.Config{URL: "http://127.0.0.1:1"})
	var refused *registry.Refusal
	for _, c := range []*client.Client{refuses, redirects} {
		_, spawn := c.Spawn(t.Context(), client.SpawnRequest{})
		for _, err := range []error{spawn, c.Cancel(t.Context(), "x"), c.Stop(t.Context(), "x")} {
			if !errors.As(err, &refused) {
				t.Errorf("it is no refusal: %v", err)
			} else if c == refuses && (refused.Field != "port" || refused.Status != 422 || refused.Code != "invalid_field") {
				t.Errorf("it is refused with %+v", refused)
			}
		}
	}
	for _, c := range []*client.Client{hangs, away} {
		if _, err := c.Spawn(t.Context(), client.SpawnRequest{}); !errors.Is(err, registry.ErrUnreachable) {
			t.Errorf("it is reached: %v", err)
		}
	}
	if err := away.Stop(t.Context(), "x"); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("it is reached: %v", err)
	}
}
