package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/registry"
)

// patience is no measure of anything: it only ends a test that waits in vain.
const patience = 30 * time.Second

// newStore is one that runs until the test ends.
func newStore(t *testing.T) (*operation.Store, http.Handler) {
	t.Helper()
	store := operation.New("/v1/hive/operations/", 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return store, httpd.Routes(slog.New(slog.DiscardHandler), store.Routes())
}

func begin(t *testing.T, s *operation.Store, work func(op *operation.Running)) string {
	t.Helper()
	op, err := s.Begin(client.Operation{}, func(_ context.Context, op *operation.Running) { work(op) })
	if err != nil {
		t.Fatal(err)
	}
	return op.Operation().ID
}

func serve(t *testing.T, h http.HandlerFunc) string {
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

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func event(name string) client.Event {
	return client.Event{Name: name, Data: []byte(`{"event":"` + name + `"}`)}
}

// cutting is a connection that breaks in the midst of what it is given.
type cutting struct {
	http.ResponseWriter
	left int // bytes
}

func (c *cutting) Write(text []byte) (int, error) {
	if len(text) > c.left {
		_, _ = c.ResponseWriter.Write(text[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(text)
	return c.ResponseWriter.Write(text)
}

func (c *cutting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// TestFollowCutConnections: wherever a stream is cut, each event is told once, in its
// order, and then the end.
func TestFollowCutConnections(t *testing.T) {
	t.Parallel()
	store, h := newStore(t)
	var want []string
	id := begin(t, store, func(op *operation.Running) {
		for i := range 5 {
			op.Tell(event(fmt.Sprint("step", i)))
		}
		op.End(func(o *client.Operation) { o.Worker = &client.WorkerProcess{WorkerID: "w"} })
	})
	for i := range 5 {
		want = append(want, fmt.Sprint(i+1, " step", i))
	}
	allowed := 0
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		allowed += 197 // so that it is cut at the header, in the midst of events, and between them
		h.ServeHTTP(&cutting{w, allowed}, r)
	})
	var got []string
	op, err := newClient(t, client.Config{URL: url}).Follow(within(t), id, func(e client.Event) {
		got = append(got, fmt.Sprint(e.Seq, " ", e.Name))
		if string(e.Data) != `{"event":"`+e.Name+`"}` {
			t.Errorf("%s has the data %s", e.Name, e.Data)
		}
	})
	if err != nil || op.Status != client.Succeeded || op.Worker == nil || op.Worker.WorkerID != "w" {
		t.Errorf("it ended with %+v, %v", op, err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%q, not\n%q", got, want)
	}
	if allowed < 3*197 {
		t.Error("nothing was cut")
	}
}

// TestFollowServerLeaves: a hive that goes says so, and is back with the same operation.
func TestFollowServerLeaves(t *testing.T) {
	t.Parallel()
	first := operation.New("/v1/hive/operations/", 10)
	ctx, leave := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- first.Run(ctx) }()
	old := httpd.Routes(slog.New(slog.DiscardHandler), first.Routes())
	second, again := newStore(t)
	work := func(_ context.Context, op *operation.Running) { op.Tell(event("leased")) }
	if _, err := first.Begin(client.Operation{ID: "one"}, work); err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			again.ServeHTTP(w, r)
			return
		}
		old.ServeHTTP(w, r)
	})
	var got []string
	op, err := newClient(t, client.Config{URL: url}).Follow(within(t), "one", func(e client.Event) {
		got = append(got, e.Name)
		if e.Name != "leased" {
			return
		}
		_, err := second.Begin(client.Operation{ID: "one"}, func(_ context.Context, op *operation.Running) {
			op.Tell(event("leased"))
			op.Tell(event("ready"))
			op.End(func(*client.Operation) {})
		})
		if err != nil {
			t.Error(err)
		}
		gone.Store(true)
		leave()
	})
	if err != nil || op.Status != client.Succeeded || !slices.Equal(got, []string{"leased", "ready"}) {
		t.Errorf("%q, %+v, %v", got, op, err)
	}
	<-running
}

// TestFollowSilence: a stream on which nothing comes, not even a comment, is one that is
// dead, and another is opened.
func TestFollowSilence(t *testing.T) {
	t.Parallel()
	store, h := newStore(t)
	id := begin(t, store, func(op *operation.Running) { op.End(func(*client.Operation) {}) })
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			httpd.NewEvents(w)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		h.ServeHTTP(w, r)
	})
	op, err := newClient(t, client.Config{URL: url, Silence: 50 * time.Millisecond}).Follow(within(t), id, func(client.Event) {})
	if err != nil || op.Status != client.Succeeded || asked.Load() != 2 {
		t.Errorf("%+v, %v, after %d requests", op, err, asked.Load())
	}
}

// TestFollowAway: a hive that is gone for good is given up, if that is wanted.
func TestFollowAway(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		httpd.WriteProblem(w, httpd.Errorf(http.StatusServiceUnavailable, client.CodeBusy, "it begins"))
	})
	_, err := newClient(t, client.Config{URL: url, Away: 150 * time.Millisecond}).Follow(within(t), "one", func(client.Event) {})
	if err == nil || !strings.Contains(err.Error(), "follow the operation one: it begins") || asked.Load() < 2 {
		t.Errorf("%v, after %d requests", err, asked.Load())
	}
}

// TestFollowEnds: what will not get better is an error at once, and so is the end of the
// context.
func TestFollowEnds(t *testing.T) {
	t.Parallel()
	store, h := newStore(t)
	forever := begin(t, store, func(op *operation.Running) { <-op.Cancelled(); op.End(func(*client.Operation) {}) })
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
		status int
	}{
		"unknown":  {h.ServeHTTP, "no operation", 404},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }, "302", 302},
		"a page":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!doctype html>\n\n") }, "this is no hive", 200},
	} {
		_, err := newClient(t, client.Config{URL: serve(t, test.answer)}).Follow(within(t), "unknown", nil)
		var refused *registry.Refusal
		if !errors.As(err, &refused) || refused.Status != test.status || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(); h.ServeHTTP(w, r) })
	if _, err := newClient(t, client.Config{URL: url}).Follow(ctx, forever, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	store.Get(forever).Cancel()
}

// TestFollowForms: events as the standard allows them, if no hive writes them so.
func TestFollowForms(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, "retry: 10\n\nevent: end\n\n"+ // nothing: no data
			"id:7\r\ndata: {\"event\":\r\ndata:\"two lines\"}\r\n\r\n"+
			": a comment\n\nevent:bye\ndata: {}\n\nunknown: field\ndata: {\"event\":\"of progress\"}\n\n"+
			"event: end\ndata: {\"status\":\ndata: \"failed\"}\n\n")
	})
	var got []string
	op, err := newClient(t, client.Config{URL: url}).Follow(within(t), "one", func(e client.Event) {
		got = append(got, fmt.Sprintf("%d %s %s", e.Seq, e.Name, e.Data))
	})
	want := []string{"7 two lines {\"event\":\n\"two lines\"}", "0 of progress {\"event\":\"of progress\"}"}
	if err != nil || op.Status != client.Failed || !slices.Equal(got, want) {
		t.Errorf("%q, %+v, %v", got, op, err)
	}
}
