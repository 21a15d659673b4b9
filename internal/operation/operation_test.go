package operation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
)

const path = "/v1/test/operations/"

// run runs a store until leave is called, or the test ends.
func run(t *testing.T, keep int) (store *operation.Store, h http.Handler, leave func()) {
	t.Helper()
	store = operation.New(path, keep)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx); close(ended) }()
	leave = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(leave)
	return store, httpd.Routes(slog.New(slog.DiscardHandler), store.Routes()), leave
}

// under is an operation whose work is what the test does.
func under(t *testing.T, s *operation.Store, begun client.Operation) *operation.Running {
	t.Helper()
	op, err := s.Begin(begun, func(context.Context, *operation.Running) {})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func event(name string) client.Event {
	return client.Event{Name: name, Data: []byte(`{"event":"` + name + `"}`)}
}

func succeed(op *operation.Running) { op.End(func(*client.Operation) {}) }

func fail(op *operation.Running) {
	op.End(func(o *client.Operation) { o.Error = &client.Failure{Detail: "no luck"} })
}

// following is one who follows an operation: what it has been told can be looked at when
// everybody waits (synctest.Wait).
type following struct {
	*httptest.ResponseRecorder
	hangUp context.CancelFunc
	over   chan struct{}
}

func follow(t *testing.T, h http.Handler, id string, last int) *following {
	t.Helper()
	ctx, hangUp := context.WithCancel(t.Context())
	f := &following{ResponseRecorder: httptest.NewRecorder(), hangUp: hangUp, over: make(chan struct{})}
	r := httptest.NewRequestWithContext(ctx, "GET", path+id+"/events", nil)
	if last > 0 {
		r.Header.Set("Last-Event-ID", strconv.Itoa(last))
	}
	go func() { defer close(f.over); h.ServeHTTP(f, r) }()
	t.Cleanup(func() { hangUp(); <-f.over })
	return f
}

// told is a stream in short: the ids and names of its events, or how they stand.
func told(stream string) string {
	var all []string
	for block := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		var id, name, data string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "id":
				id = value
			case "event":
				name = value
			case "data":
				data = value
			}
		}
		_, what, _ := strings.Cut(data, `"event":"`)
		if name == "operation" || name == "end" {
			_, what, _ = strings.Cut(data, `"status":"`)
		}
		what, _, _ = strings.Cut(what, `"`)
		all = append(all, id+name+":"+what)
	}
	return strings.Join(all, " ")
}

func (f *following) mustBe(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := told(f.Body.String()); got != want {
		t.Errorf("it is told\n%s, not\n%s", got, want)
	}
}

func (f *following) mustEnd(t *testing.T) {
	t.Helper()
	synctest.Wait()
	select {
	case <-f.over:
	default:
		t.Errorf("the stream goes on: %s", f.Body)
	}
}

// Everyone gets every event in its order, from the beginning or from where they were, and
// the end last.
func TestFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h, _ := run(t, 10)
		op := under(t, s, client.Operation{ID: "one"})
		first := follow(t, h, "one", 0)
		first.mustBe(t, "operation:running")
		op.Tell(event("leased"))
		first.mustBe(t, "operation:running 1:leased")
		op.Tell(event("spawned"))
		second, again := follow(t, h, "one", 0), follow(t, h, "one", 1)
		second.mustBe(t, "operation:running 1:leased 2:spawned")
		again.mustBe(t, "operation:running 2:spawned")
		op.Tell(event("ready"))
		succeed(op)
		for f, want := range map[*following]string{
			first:                      "operation:running 1:leased 2:spawned 3:ready end:succeeded",
			second:                     "operation:running 1:leased 2:spawned 3:ready end:succeeded",
			again:                      "operation:running 2:spawned 3:ready end:succeeded",
			follow(t, h, "one", 0):     "operation:succeeded 1:leased 2:spawned 3:ready end:succeeded",
			follow(t, h, "one", 2):     "operation:succeeded 3:ready end:succeeded",
			follow(t, h, "one", 1<<20): "operation:succeeded end:succeeded",
		} {
			f.mustBe(t, want)
			f.mustEnd(t)
		}
	})
}

// What passes is for those who are there: it is not told again, nor after what came later.
func TestProgressPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h, _ := run(t, 10)
		op := under(t, s, client.Operation{ID: "one"})
		there := follow(t, h, "one", 0)
		synctest.Wait()
		op.Pass(event("progress"))
		there.mustBe(t, "operation:running :progress")
		late := follow(t, h, "one", 0)
		late.mustBe(t, "operation:running")
		op.Pass(event("more"))
		op.Tell(event("ready")) // before anybody has looked
		there.mustBe(t, "operation:running :progress 1:ready")
		late.mustBe(t, "operation:running 1:ready")
		if got := op.Operation().Phase; got != "ready" {
			t.Errorf("its phase is %q", got)
		}
		op.Pass(event("most"))
		fail(op)
		there.mustBe(t, "operation:running :progress 1:ready end:failed")
	})
}

// Who asks once is told all there is, with what passes just then, and let go.
func TestOnce(t *testing.T) {
	t.Parallel()
	s, h, _ := run(t, 10)
	op := under(t, s, client.Operation{ID: "one"})
	once := func(want string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path+"one/events?follow=false", nil))
		if got := told(w.Body.String()); got != want {
			t.Errorf("it is told\n%s, not\n%s", got, want)
		}
	}
	once("operation:running")
	op.Tell(event("leased"))
	op.Pass(event("progress"))
	once("operation:running 1:leased :progress")
	once("operation:running 1:leased :progress")
	succeed(op)
	once("operation:succeeded 1:leased end:succeeded")
}

// A stream is kept alive, and ends with whoever reads it.
func TestQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h, _ := run(t, 10)
		under(t, s, client.Operation{ID: "one"})
		f := follow(t, h, "one", 0)
		time.Sleep(2*httpd.EventsAlive + time.Second)
		synctest.Wait()
		if n := strings.Count(f.Body.String(), "\n:\n"); n != 2 {
			t.Errorf("%d comments in %q", n, f.Body)
		}
		f.hangUp()
		f.mustEnd(t)
	})
}

// A server that goes says so to all who follow, and begins nothing more.
func TestLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h, leave := run(t, 10)
		working := make(chan struct{})
		_, err := s.Begin(client.Operation{ID: "one"}, func(ctx context.Context, _ *operation.Running) {
			close(working)
			<-ctx.Done()
			time.Sleep(time.Second) // Run waits for it
		})
		if err != nil {
			t.Fatal(err)
		}
		<-working
		f := follow(t, h, "one", 0)
		synctest.Wait()
		began := time.Now()
		leave()
		if took := time.Since(began); took != time.Second {
			t.Errorf("it went after %s", took)
		}
		f.mustEnd(t)
		if !strings.HasSuffix(told(f.Body.String()), " bye:") {
			t.Errorf("it is told %q", f.Body)
		}
		if _, err := s.Begin(client.Operation{}, nil); !errors.Is(err, operation.ErrLeaving) {
			t.Errorf("it begins another: %v", err)
		}
	})
}

// An id is one operation's, whoever has chosen it.
func TestIDs(t *testing.T) {
	t.Parallel()
	s, h, _ := run(t, 0)
	under(t, s, client.Operation{ID: "../a b"})
	if _, err := s.Begin(client.Operation{ID: "../a b"}, nil); !errors.Is(err, operation.ErrKnown) {
		t.Errorf("it began twice: %v", err)
	}
	own := under(t, s, client.Operation{})
	if got := own.Operation(); got.ID == "" || got.StartedAt.IsZero() || got.Status != client.Running {
		t.Errorf("it begins as %+v", got)
	}
	for _, op := range s.List() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", strings.TrimSuffix(op.EventsURL, "/events"), nil))
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"operation_id":"`+op.ID+`"`) {
			t.Errorf("%s: %d %s", op.EventsURL, w.Code, w.Body)
		}
	}
	succeed(own)
	fail(own) // an end is for good
	own.Tell(event("late"))
	own.Set(func(o *client.Operation) { o.WorkerID = "late" })
	if got := own.Operation(); got.Status != client.Succeeded || got.Phase != "" || got.WorkerID != "" || got.EndedAt.IsZero() {
		t.Errorf("it has ended as %+v", got)
	}
}

// Through a proxy an operation is where the proxy has it, in each of the answers that name
// the place.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	s, h, _ := run(t, 1)
	op := under(t, s, client.Operation{ID: "one"})
	succeed(op)
	for said, want := range map[string]string{"": "", "/api/here": "/api/here", "/a%2Fb/": "/a%2Fb", "//evil.example": "", "x": ""} {
		ask := func(method, at string, h http.Handler) *httptest.ResponseRecorder {
			r, w := httptest.NewRequest(method, at, nil), httptest.NewRecorder()
			r.Header.Set(operation.PrefixHeader, said)
			h.ServeHTTP(w, r)
			return w
		}
		answer := ask("POST", "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = s.Answer(w, r, op) }))
		if at := answer.Header().Get("Location"); at != want+path+"one" {
			t.Errorf("%q: it is at %s", said, at)
		}
		for what, w := range map[string]*httptest.ResponseRecorder{
			"begun": answer, "listed": ask("GET", strings.TrimSuffix(path, "/"), h), "asked for": ask("GET", path+"one", h),
			"cancelled": ask("DELETE", path+"one", h), "followed": ask("GET", path+"one/events", h),
		} {
			named := strings.Count(w.Body.String(), `"events_url":"`+want+path+`one/events"`)
			if all := strings.Count(w.Body.String(), "events_url"); all == 0 || named != all {
				t.Errorf("%q, %s: %s", said, what, w.Body)
			}
		}
	}
}

// The oldest of those that have ended are forgotten, and none that runs.
func TestForget(t *testing.T) {
	t.Parallel()
	s, _, _ := run(t, 2)
	var all []*operation.Running
	for i := range 6 {
		op := under(t, s, client.Operation{ID: fmt.Sprint(i)})
		all = append(all, op)
		if i != 1 && i != 5 {
			succeed(op)
		}
	}
	var ids []string
	for _, op := range s.List() {
		ids = append(ids, op.ID)
	}
	if got := strings.Join(ids, " "); got != "5 4 3 1" {
		t.Errorf("kept are %s", got)
	}
	if s.Get("0") != nil || s.Get("1") != all[1] {
		t.Error("Get knows others than List")
	}
}

// TestCancel: the work is told, once or more often, and says itself how that ended.
func TestCancel(t *testing.T) {
	t.Parallel()
	s, h, _ := run(t, 10)
	op, err := s.Begin(client.Operation{ID: "one"}, func(_ context.Context, op *operation.Running) {
		<-op.Cancelled()
		fail(op)
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), "DELETE", srv.URL+path+"one", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("cancelled: %s", resp.Status)
		}
		events, err := http.Get(srv.URL + op.Operation().EventsURL)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(events.Body)
		events.Body.Close()
		if err != nil || !strings.HasSuffix(told(string(text)), "end:failed") {
			t.Errorf("it is told %q, %v", text, err)
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path+"two", nil))
		if w.Code != 404 || !strings.Contains(w.Body.String(), client.CodeUnknownOperation) {
			t.Errorf("%s of an unknown one: %d %s", method, w.Code, w.Body)
		}
	}
}

// TestMaxEvents: what repeats itself for ever is not kept for ever.
func TestMaxEvents(t *testing.T) {
	t.Parallel()
	s, h, _ := run(t, 10)
	op := under(t, s, client.Operation{ID: "one"})
	for range 5000 {
		op.Tell(event("again"))
	}
	succeed(op)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path+"one/events", nil))
	if n := strings.Count(w.Body.String(), "\nid: "); n != 1000 || !strings.HasSuffix(told(w.Body.String()), "1000:again end:succeeded") {
		t.Errorf("%d events are kept", n)
	}
}
