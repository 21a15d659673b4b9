package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// served is a registry on a port, and a client of its API.
type served struct {
	api
	url    string
	client *http.Client
}

func serve(t *testing.T, s *server.Server) served {
	t.Helper()
	h := s.Handler()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close) // after the streams
	return served{api{t, h}, srv.URL + "/v1/registry/watch", testClient(t)}
}

func TestWatchTellsWhatChanges(t *testing.T) {
	t.Parallel()
	s := serve(t, server.New(server.Config{}))
	s.want(200, s.post("register", `{"worker_id":"a","instance_id":"x","hostname":"h","port":1}`))
	w := watch(t, s.client, s.url, "")
	all := w.reset(t)
	if len(all.Workers) != 1 || all.Revision != 1 {
		t.Errorf("it begins with %+v", all)
	}
	for _, step := range []struct {
		do   func() reply
		want string
	}{
		{func() reply { return s.post("register", `{"worker_id":"b","instance_id":"x","hostname":"h","port":2}`) }, "2 registered b x 2 online"},
		{func() reply { return s.post("heartbeat", `{"worker_id":"b"}`) }, ""},
		{func() reply { return s.post("register", `{"worker_id":"b","instance_id":"x","hostname":"h","port":3}`) }, "3 updated b x 3 online"},
		{func() reply { return s.post("register", `{"worker_id":"b","instance_id":"y","hostname":"h","port":3}`) }, "4 registered b y 3 online"},
		{func() reply { return s.unregister(`{"worker_id":"b","instance_id":"y"}`) }, "5 unregistered b y 3 online"},
	} {
		s.want(200, step.do())
		if step.want == "" {
			continue
		}
		c := w.change(t)
		if got := fmt.Sprint(c.Revision, " ", c.Op, " ", c.Component.ID, " ", c.Component.InstanceID, " ", c.Component.Port, " ", c.Component.Status); got != step.want {
			t.Errorf("the change is %q, want %q", got, step.want)
		}
		if c.Component.Kind != registry.Worker || c.Component.LastSeen.IsZero() {
			t.Errorf("the component is %+v", c.Component)
		}
	}
}

func TestWatchResumes(t *testing.T) {
	t.Parallel()
	life := server.New(server.Config{})
	life.Keep(4)
	s := serve(t, life)
	register := func(port int) {
		s.want(200, s.post("register", fmt.Sprintf(`{"worker_id":"a","hostname":"h","port":%d}`, port)))
	}
	register(1)
	first := watch(t, s.client, s.url, "")
	at := first.want(t, "reset").id
	epoch, _, _ := strings.Cut(at, ".")
	register(2)
	register(3)
	w := watch(t, s.client, s.url, at)
	if c := w.change(t); c.Revision != 2 {
		t.Errorf("after %s comes %+v", at, c)
	}
	if c := w.change(t); c.Revision != 3 {
		t.Errorf("after that comes %+v", c)
	}
	register(4)
	register(5)
	register(6)
	for last, why := range map[string]string{
		at:                               "it is not kept any more",
		epoch + ".7":                     "it has not been yet",
		"01JD0000000000000000000000.6":   "another life's",
		"nonsense":                       "no revision",
		epoch + ".18446744073709551616":  "no number",
		epoch + ".6.1":                   "no number either",
		"01JD0000000000000000000000.bad": "nor this",
	} {
		if all := watch(t, s.client, s.url, last).reset(t); all.Revision != 6 {
			t.Errorf("after %s (%s) comes %+v", last, why, all)
		}
	}
	if c := watch(t, s.client, s.url, epoch+".2").change(t); c.Revision != 3 {
		t.Errorf("the oldest that is kept is told as %+v", c)
	}
}

// Who leaves what a filter chooses has left the watcher's view, and must not stay in it.
func TestWatchFilters(t *testing.T) {
	t.Parallel()
	s := serve(t, server.New(server.Config{}))
	register := func(id, model string) {
		s.want(200, s.post("register", fmt.Sprintf(`{"worker_id":%q,"hostname":"h","port":1,"model":%q,"metadata":{"zone":"a"}}`, id, model)))
	}
	s.want(200, s.post("register", `{"hive_id":"h","hostname":"h","port":1}`))
	register("a", "m")
	register("b", "other")
	w := watch(t, s.client, s.url+"?component_type=worker&model=m&metadata.zone=a", "")
	if all := w.reset(t); len(all.Workers) != 1 || len(all.Hives) != 0 {
		t.Errorf("it begins with %+v", all)
	}
	register("c", "other")
	register("a", "other") // leaves
	register("b", "m")     // comes
	s.want(200, s.unregister(`{"worker_id":"c"}`))
	s.want(200, s.unregister(`{"worker_id":"b"}`))
	for _, want := range []string{"updated a other", "updated b m", "unregistered b m"} {
		if c := w.change(t); fmt.Sprint(c.Op, " ", c.Component.ID, " ", c.Component.Model) != want {
			t.Errorf("the change is %+v, want %s", c, want)
		}
	}
	for _, bad := range []string{"?status=asleep", "?component_type=bee", "?limit=1", "?after=a"} {
		s.want(422, s.get("watch"+bad))
	}
}

// A mass of changes at once is more than is kept: who follows can't have them all.
func TestWatcherThatFallsBehindIsDropped(t *testing.T) {
	t.Parallel()
	life := server.New(server.Config{OnlineWindow: 100 * time.Millisecond, RemoveAfter: time.Hour})
	life.Keep(8)
	s := serve(t, life)
	var parts []string
	for i := range 100 {
		parts = append(parts, fmt.Sprintf(`{"worker_id":"w%d","hostname":"h","port":1}`, i))
	}
	s.want(200, s.post("register", `{"components":[`+strings.Join(parts, ",")+`]}`))
	w := watch(t, s.client, s.url, "")
	w.want(t, "reset")
	for s.revision() < 200 { // nothing of it runs but what is asked
	}
	var why struct{ Reason string }
	last := ""
	for e := (event{}); e.name != "bye"; {
		var err error
		if e, err = w.next(); err != nil {
			t.Fatal("it was not dropped: ", err)
		}
		_ = json.Unmarshal([]byte(e.data), &why)
		last = e.id
	}
	if _, err := w.next(); why.Reason != "too_slow" || !errors.Is(err, io.EOF) {
		t.Errorf("it was dropped for %q, and then came %v", why.Reason, err)
	}
	if all := watch(t, s.client, s.url, last).reset(t); all.Revision != 200 {
		t.Errorf("back again it begins with revision %d", all.Revision)
	}
	if metrics := s.from(here, "GET", "/metrics", ""); !strings.Contains(string(metrics.body), `rbee_registry_watchers_dropped_total{reason="too_slow"} 1`) {
		t.Errorf("the metrics are %s", metrics.body)
	}
}

func TestWatchersAreToldToComeBack(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Run(ctx, ln, server.Config{}) }()
	w := watch(t, testClient(t), "http://"+ln.Addr().String()+"/v1/registry/watch", "")
	all := w.reset(t)
	end()
	if e := w.want(t, "bye"); !strings.Contains(e.data, "shutting_down") || e.id != fmt.Sprintf("%s.%d", all.Epoch, all.Revision) {
		t.Errorf("the last word is %+v", e)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWatchersAreLimited(t *testing.T) {
	t.Parallel()
	s := serve(t, server.New(server.Config{MaxWatchers: 1}))
	w := watch(t, s.client, s.url, "")
	w.want(t, "reset")
	if r := s.get("watch"); r.status != 503 || r.header.Get("Retry-After") == "" {
		t.Errorf("a second one is answered %d %s", r.status, r.body)
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, server.Config{OnlineWindow: time.Hour})
		a.want(200, a.post("register", `{"worker_id":"a","hostname":"h","port":1}`))
		epoch := a.want(200, a.get("components"))["epoch"].(string)
		for _, path := range []string{"watch?wait=1h0m0s", "watch?wait=-1s", "watch?wait=soon", "watch?since=x", "watch?since=1.x"} {
			a.want(422, a.get(path))
		}
		for path, reset := range map[string]bool{
			"watch?wait=0s": true, "watch?since=9&wait=0s": true, "watch?since=other.1": true,
			"watch?since=0&wait=0s": false, "watch?since=" + epoch + ".0": false,
		} {
			r := a.want(200, a.get(path))
			if (r["reset"] != nil) != reset || (r["changes"] != nil) == reset || r["revision"] != 1.0 {
				t.Errorf("%s is answered %v", path, r)
			}
		}
		began := time.Now()
		if r := a.want(200, a.get("watch?since=1&wait=20s")); len(r["changes"].([]any)) != 0 || time.Since(began) != 20*time.Second {
			t.Errorf("without a change it is answered %v after %v", r, time.Since(began))
		}
		var polled sync.WaitGroup
		polled.Go(func() {
			r := a.want(200, a.get("watch?since=1&component_type=worker")) // 30 s
			if changes := r["changes"].([]any); len(changes) != 1 || r["revision"] != 3.0 {
				t.Errorf("the poll is answered %v", r)
			}
		})
		synctest.Wait()
		a.want(200, a.post("register", `{"hive_id":"h","hostname":"h","port":1}`)) // concerns others
		synctest.Wait()
		a.want(200, a.post("register", `{"worker_id":"b","hostname":"h","port":1}`))
		polled.Wait()
	})
}

// idle is a client that only listens.
type idle struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (i *idle) Header() http.Header { return http.Header{} }
func (i *idle) WriteHeader(int)     {}
func (i *idle) Flush()              {}
func (i *idle) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.text.Write(p)
}

func (i *idle) heard() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	defer i.text.Reset()
	return i.text.String()
}

func TestAQuietWatchIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, server.Config{OnlineWindow: time.Hour})
		ctx, stop := context.WithCancel(t.Context())
		w, done := &idle{}, make(chan struct{})
		go func() {
			defer close(done)
			a.h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/v1/registry/watch?model=m", nil))
		}()
		synctest.Wait()
		if got := w.heard(); !strings.Contains(got, "event: reset") {
			t.Errorf("it begins with %q", got)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := w.heard(); got != ":\n\n" {
			t.Errorf("after 15 s comes %q", got)
		}
		a.want(200, a.post("register", `{"hive_id":"h","hostname":"h","port":1}`))
		epoch := a.want(200, a.get("components"))["epoch"]
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got, want := w.heard(), fmt.Sprintf(":\nid: %s.1\n\n", epoch); got != want {
			t.Errorf("after a change that is no matter of its comes %q, want %q", got, want)
		}
		for port := range 4 { // so many that it is never quiet between them
			time.Sleep(4 * time.Second)
			a.want(200, a.post("register", fmt.Sprintf(`{"hive_id":"h","hostname":"h","port":%d}`, 2+port)))
			synctest.Wait()
		}
		if got, want := w.heard(), fmt.Sprintf(":\nid: %s.4\n\n", epoch); got != want {
			t.Errorf("among changes that are no matter of its comes %q, want %q", got, want)
		}
		stop()
		<-done
	})
}
