package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// scripted is a registry whose first answers to watches are others'. It is itself again when
// the script is over.
type scripted struct {
	real http.Handler

	mu     sync.Mutex
	script []http.HandlerFunc
	from   []string // the Last-Event-ID of each watch
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/registry/watch" {
		if act := s.act(r.Header.Get("Last-Event-ID")); act != nil {
			act(w, r)
			return
		}
	}
	s.real.ServeHTTP(w, r)
}

func (s *scripted) act(from string) (act http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = append(s.from, from)
	if len(s.script) > 0 {
		act, s.script = s.script[0], s.script[1:]
	}
	return act
}

func (s *scripted) watches() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.from...)
}

// stage is a registry with one worker, "a", and a client of it.
func stage(t *testing.T, cfg registry.Config, script ...http.HandlerFunc) (*scripted, *registry.Client) {
	t.Helper()
	s := &scripted{real: server.New(server.Config{}).Handler(), script: script}
	c := quick(serveWatched(t, s).URL)
	c.Silence, c.Timeout = cfg.Silence, cfg.Timeout
	client := dial(t, c)
	register(t, client, worker("a"))
	return s, client
}

// says is a stream that says text, and then does what then does.
func says(text string, then func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		if then != nil {
			then(r)
		}
	}
}

func hangs(r *http.Request) { <-r.Context().Done() }

const began = "id: E.7\r\nevent: reset\r\ndata: {\"epoch\":\"E\",\"revision\":7,\r\ndata: \"workers\":[{\"worker_id\":\"z\",\"component_type\":\"worker\"}]}\r\n\r\n"

func change(revision int, form string) string {
	return fmt.Sprintf("id: E.%d\nevent: change\ndata: {\"revision\":%d,\"op\":\"registered\",\"component\":{%s}}\n\n", revision, revision, form)
}

func ids(s registry.Snapshot) string {
	var list []string
	for _, w := range s.Workers {
		list = append(list, w.ID)
	}
	return strings.Join(list, " ")
}

// Whatever is done to a watch, in the end the view is the registry's.
func TestWatchFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		text  string
		sees  string // of the fault's registry, in the end
		again string // the Last-Event-ID of the next watch
	}{
		{"cut in an event", began + strings.TrimSuffix(change(8, `"worker_id":"b"`), "\n"), "z", "E.7"},
		{"cut before the end of an id", began + change(8, `"worker_id":"b"`) + "id: E.9", "b z", "E.8"},
		{"a change that is told again", began + change(8, `"worker_id":"b"`) + change(7, `"worker_id":"c"`) + change(8, `"worker_id":"d"`), "b z", "E.8"},
		{"a change that is missing", began + change(9, `"worker_id":"b"`), "z", ""},
		{"a change of another life", began + strings.Replace(change(8, `"worker_id":"b"`), "E.8", "F.8", 1), "z", ""},
		{"a change that is none", began + "event: change\ndata: <html>\n\n", "z", ""},
		{"a worker that is none", began + change(8, `"component_type":"worker"`), "z", ""},
		{"a kind that is new", began + change(8, `"component_type":"bee","component_id":"b"`) + change(9, `"worker_id":"c"`), "c z", "E.9"},
		{"an event that is new", began + "event: census\ndata: 9\n\n" + change(8, `"worker_id":"b"`), "b z", "E.8"},
		{"a goodbye", began + "event: bye\nretry: 1\ndata: {\"reason\":\"too_slow\"}\n\n", "z", "E.7"},
		{"another reset", began + strings.NewReplacer("7", "3", `"z"`, `"y"`).Replace(began), "y", "E.3"},
		{"a change before the reset", change(8, `"worker_id":"b"`), "", ""},
		{"a reset that is none", "event: reset\ndata: {}\n\n", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := stage(t, registry.Config{}, says(tt.text, nil))
			v := watch(t, c)
			if got := ids(v.disconnected(nil).Snapshot); got != tt.sees {
				t.Errorf("at the end of the stream it sees %q, not %q", got, tt.sees)
			}
			v.everything(c)
			if from := s.watches(); len(from) != 2 || from[1] != tt.again {
				t.Errorf("it watched from %q", from)
			}
		})
	}
}

func TestARegistryThatFallsSilent(t *testing.T) {
	_, c := stage(t, registry.Config{Silence: 30 * time.Millisecond}, says(began+":\n\n:\n\n", hangs))
	v := watch(t, c)
	v.connected()
	v.disconnected(nil)
	v.until("the registry itself", func(v registry.View) bool { return v.Connected && ids(v.Snapshot) == "a" })
}

// Each comment is a view, and nothing is decoded or copied for it.
func TestACommentIsASignOfLife(t *testing.T) {
	goOn := make(chan struct{})
	_, c := stage(t, registry.Config{}, func(w http.ResponseWriter, r *http.Request) {
		says(began, nil)(w, r)
		for range goOn {
			says(":\n\n", nil)(w, r)
		}
	})
	v := watch(t, c)
	last := v.connected()
	for range 3 {
		goOn <- struct{}{}
		next := v.connected()
		if !next.AsOf.After(last.AsOf) || &next.Snapshot.Workers[0] != &last.Snapshot.Workers[0] {
			t.Errorf("after %+v comes %+v", last, next)
		}
		last = next
	}
	close(goOn)
}

// Where there is no stream, the registry is polled, and the watch is tried again.
func TestARegistryThatCantBeWatched(t *testing.T) {
	full := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	withheld := func(w http.ResponseWriter, r *http.Request) { hangs(r) }
	cut := says(began, nil)
	for name, script := range map[string][]http.HandlerFunc{
		"an older one":                  {http.NotFound, http.NotFound},
		"one with too many watchers":    {full, full},
		"one that answers with a page":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!doctype html>") }},
		"a proxy that keeps all back":   {withheld, withheld},
		"a proxy that keeps the header": {says("", hangs), says("", hangs)},
		"one that is silent at once":    {says(began, hangs)},
		"one that cuts every stream":    {cut, cut, cut, cut, cut},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := stage(t, registry.Config{Timeout: 100 * time.Millisecond, Silence: 100 * time.Millisecond}, script...)
			v := watch(t, c)
			polled := v.until("a first view", func(v registry.View) bool { return v.Connected && ids(v.Snapshot) == "a" })
			if polled.Cause != nil || polled.AsOf.IsZero() {
				t.Errorf("the first view is %+v", polled)
			}
			register(t, c, worker("b"))
			v.workers(2)
			v.until("a sign of life", func(v registry.View) bool { return v.AsOf.After(polled.AsOf) })
			until(t, "it watches in the end", func() bool { return len(s.watches()) > len(script) })
			register(t, c, worker("c"))
			v.workers(3)
		})
	}
}

// Some servers answer every path with a page, or with any JSON: that is no registry.
func TestWatchOfWhatIsNoRegistry(t *testing.T) {
	for _, page := range []string{"<!doctype html>", "{}", "null", `"ok"`} {
		d := &door{}
		d.put(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }))
		c := dial(t, quick(serveWatched(t, d).URL))
		v := watch(t, c)
		if no := v.disconnected(nil); no.Snapshot.Epoch != "" || errors.Is(no.Cause, registry.ErrUnreachable) {
			t.Errorf("%s is seen as %+v", page, no)
		}
		d.put(server.New(server.Config{}).Handler())
		v.everything(c)
	}
}

func TestWatchOfLargeEvents(t *testing.T) {
	_, c := stage(t, registry.Config{})
	large := func(id string) registry.Component {
		w := worker(id)
		w.Metadata = map[string]any{"x": strings.Repeat("x", 15<<10)}
		return w
	}
	for i := range 80 {
		register(t, c, large(fmt.Sprint("b", i)))
	}
	v := watch(t, c) // the reset has more than a megabyte, a change more than a line's buffer of 4 KiB
	v.workers(81)
	register(t, c, large("c"), worker("d"), large("e"))
	v.workers(84)
	v.everything(c)
}

// Nothing of what a stranger streams makes the client grow without end.
func TestAnEventWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 64 MiB")
	}
	_, c := stage(t, registry.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for piece := bytes.Repeat([]byte("x"), 1<<20); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	v := watch(t, c)
	v.disconnected(nil)
	v.everything(c)
}
