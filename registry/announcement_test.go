package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// desk is a registrar for one component that can be away and can forget. Its
// clock is synctest's.
type desk struct {
	mu    sync.Mutex
	beat  time.Duration // what it answers to a registration
	away  error         // what it answers while it is away
	known bool
	slow  bool // unregistering takes as long as it may
	calls []call
}

type call struct {
	what string
	at   time.Time
}

func (d *desk) note(what string) error {
	d.calls = append(d.calls, call{what, time.Now()})
	return d.away
}

func (d *desk) Register(context.Context, registry.Component) (time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.note("register"); err != nil {
		return 0, err
	}
	d.known = true
	return d.beat, nil
}

func (d *desk) Heartbeat(context.Context, registry.Component) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.note("heartbeat"); err != nil {
		return err
	}
	if !d.known {
		return registry.ErrUnknown
	}
	return nil
}

func (d *desk) Unregister(ctx context.Context, _ registry.Component) error {
	if d.slow {
		<-ctx.Done()
		return ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = false
	return d.note("unregister")
}

func (d *desk) set(change func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *desk) taken() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := d.calls
	d.calls = nil
	return calls
}

// story is the calls' names, repeats counted once: "register heartbeat".
func story(calls []call) string {
	var told []string
	for _, c := range calls {
		if len(told) == 0 || told[len(told)-1] != c.what {
			told = append(told, c.what)
		}
	}
	return strings.Join(told, " ")
}

// announce runs a until the returned function ends it.
func announce(a *registry.Announcement) (end func()) {
	a.Component = worker("w")
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { a.Run(ctx) })
	return func() {
		cancel()
		run.Wait()
	}
}

func TestAnnouncementFromRegistrationToUnregistration(t *testing.T) {
	for _, tt := range []struct{ interval, asked, want time.Duration }{
		{0, 0, 15 * time.Second},
		{time.Minute, 0, time.Minute},
		{0, 4 * time.Second, 4 * time.Second},
		{time.Second, 4 * time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &desk{beat: tt.asked}
			end := announce(&registry.Announcement{To: d, Interval: tt.interval})
			time.Sleep(100 * tt.want)
			end()
			calls := d.taken()
			if got := story(calls); got != "register heartbeat unregister" {
				t.Errorf("with %+v it did: %s", tt, got)
			}
			for i := 1; i < len(calls)-1; i++ {
				if pause := calls[i].at.Sub(calls[i-1].at); pause > tt.want || pause < tt.want*3/4 {
					t.Fatalf("with %+v it paused for %v", tt, pause)
				}
			}
		})
	}
}

func TestARegistrarThatIsAwayIsTriedUntilItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{away: registry.ErrUnreachable}
		var log bytes.Buffer
		end := announce(&registry.Announcement{To: d, Log: slog.New(slog.NewTextHandler(&log, nil))})
		time.Sleep(time.Second)
		first := d.taken()
		if n := len(first); n < 5 {
			t.Errorf("in the first second it tried %d times", n)
		}
		time.Sleep(time.Hour)
		tried := d.taken()
		for i := 1; i < len(tried); i++ {
			if pause := tried[i].at.Sub(tried[i-1].at); pause > 5*time.Second {
				t.Fatalf("it paused for %v", pause)
			}
		}
		if n := len(tried); n > 3000 { // 2.5 s apart in the mean
			t.Errorf("in an hour it tried %d times", n)
		}
		d.set(func(d *desk) { d.away = nil })
		time.Sleep(5 * time.Second)
		if got := story(d.taken()); got != "register" {
			t.Errorf("with the registrar back it did: %q", got)
		}
		end()
		failures := len(first) + len(tried)
		if n, want := strings.Count(log.String(), "not registered"), 2+failures/100; n != want {
			t.Errorf("%d failures made %d lines of log, want %d", failures, n, want)
		}
		for _, text := range []string{"failures=1 ", "failures=10 ", "failures=100 ", "failures=200 "} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("the log lacks %q", text)
			}
		}
	})
}

func TestAnOutageEndsWithinOneHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		end := announce(&registry.Announcement{To: d})
		for range 20 {
			time.Sleep(time.Minute)
			d.set(func(d *desk) { d.away = registry.ErrUnreachable })
			time.Sleep(time.Minute)
			d.set(func(d *desk) { d.away, d.known = nil, false }) // restarted, with nothing in memory
			d.taken()
			time.Sleep(15 * time.Second)
			calls := d.taken()
			if got := story(calls); !strings.HasPrefix(got, "heartbeat register") {
				t.Errorf("after the outage it did: %q", got)
			}
			if !calls[1].at.Equal(calls[0].at) {
				t.Errorf("between being unknown and registering it waited for %v", calls[1].at.Sub(calls[0].at))
			}
		}
		end()
	})
}

// One that is superseded waits for its place, since the other may go first.
func TestASupersededComponentWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		var last atomic.Value // its state
		end := announce(&registry.Announcement{To: d, Interval: 4 * time.Second, OnState: func(s registry.State) { last.Store(s) }})
		time.Sleep(time.Minute)
		d.set(func(d *desk) { d.away = fmt.Errorf("by 2: %w", registry.ErrSuperseded) })
		d.taken()
		time.Sleep(time.Minute)
		calls := d.taken()
		if got := story(calls); got != "heartbeat register" {
			t.Errorf("it did: %q", got)
		}
		if n := len(calls); n < 15 || n > 20 {
			t.Errorf("at intervals of 3 to 4 s it asked %d times in a minute", n)
		}
		if s := last.Load().(registry.State); s.Registered || !errors.Is(s.Err, registry.ErrSuperseded) {
			t.Errorf("its last state is %+v", s)
		}
		d.set(func(d *desk) { d.away = nil }) // the other one is gone
		time.Sleep(4 * time.Second)
		if got, s := story(d.taken()), last.Load().(registry.State); !strings.HasPrefix(got, "register") || !s.Registered {
			t.Errorf("then it did: %q, and its state is %+v", got, s)
		}
		end()
	})
}

func TestOnlyTheHealthyAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		var healthy atomic.Bool
		end := announce(&registry.Announcement{To: d, Healthy: healthy.Load})
		for _, step := range []struct {
			healthy bool
			want    string
		}{
			{false, ""},
			{true, "register heartbeat"},
			{false, ""},
			{true, "heartbeat"},
		} {
			healthy.Store(step.healthy)
			at := time.Now()
			time.Sleep(time.Minute)
			calls := d.taken()
			if got := story(calls); got != step.want {
				t.Errorf("with healthy %v it did %q, want %q", step.healthy, got, step.want)
			}
			if len(calls) > 0 && calls[0].at.Sub(at) > time.Second {
				t.Errorf("the recovery was announced after %v", calls[0].at.Sub(at))
			}
		}
		end()
	})
}

func TestFarewells(t *testing.T) {
	unhealthy := func() bool { return false }
	for _, tt := range []struct {
		name string
		a    registry.Announcement
		desk *desk
		want string
		took time.Duration
		warn bool // of a farewell that was not heard
	}{
		{"never healthy", registry.Announcement{Healthy: unhealthy}, &desk{}, "", 0, false},
		{"refused", registry.Announcement{}, &desk{away: registry.ErrConflict}, "register", 0, false},
		{"an answer lost", registry.Announcement{}, &desk{away: registry.ErrUnreachable}, "register unregister", 0, false},
		{"no answer to the farewell", registry.Announcement{}, &desk{slow: true}, "register heartbeat", 2 * time.Second, true},
		{"a shorter limit", registry.Announcement{Farewell: time.Second}, &desk{slow: true}, "register heartbeat", time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				tt.a.To, tt.a.Log = tt.desk, slog.New(slog.NewTextHandler(&said, nil))
				end := announce(&tt.a)
				time.Sleep(time.Minute)
				stopped := time.Now()
				end()
				if took := time.Since(stopped); took != tt.took {
					t.Errorf("the end took %v, want %v", took, tt.took)
				}
				if got := story(tt.desk.taken()); got != tt.want {
					t.Errorf("it did %q, want %q", got, tt.want)
				}
				if warned := strings.Contains(said.String(), "not unregistered"); warned != tt.warn {
					t.Errorf("warned of a farewell that was not heard: %t, want %t", warned, tt.warn)
				}
			})
		})
	}
}

func TestOnlyChangesOfStateAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{away: registry.ErrUnreachable}
		var told []string
		end := announce(&registry.Announcement{To: d, OnState: func(s registry.State) {
			told = append(told, fmt.Sprint(s.Registered, " ", s.Err))
		}})
		for _, away := range []error{registry.ErrUnreachable, registry.ErrConflict, nil, errors.New("bad gateway"), errors.New("worse")} {
			d.set(func(d *desk) { d.away = away })
			time.Sleep(time.Minute)
		}
		d.set(func(d *desk) { d.away, d.known = nil, false })
		time.Sleep(time.Minute)
		end()
		want := []string{
			"false no answer", "false another queen is online", "true <nil>", "false bad gateway",
			"false not registered", "true <nil>", "false <nil>",
		}
		if !reflect.DeepEqual(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

// hanging answers nothing until the caller gives up.
type hanging struct{ *desk }

func (hanging) Register(ctx context.Context, _ registry.Component) (time.Duration, error) {
	<-ctx.Done()
	return 0, fmt.Errorf("%w: %w", registry.ErrUnreachable, ctx.Err())
}

func TestAnEndDuringARequestIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		end := announce(&registry.Announcement{To: hanging{d}, OnState: func(s registry.State) {
			t.Errorf("told of %+v", s)
		}})
		synctest.Wait()
		end()
		if got := story(d.taken()); got != "unregister" { // it may have arrived
			t.Errorf("it did %q", got)
		}
	})
}

// From here on with the real registry, over the network.

func TestARestartedRegistryHasEveryoneBack(t *testing.T) {
	d, c := open(t)
	states := make(chan registry.State, 16)
	end := announce(&registry.Announcement{
		To: c, Interval: 10 * time.Millisecond,
		OnState: func(s registry.State) { states <- s },
	})
	until := func(registered bool) {
		t.Helper()
		for s := range states {
			if s.Registered == registered {
				return
			}
		}
	}
	until(true)
	d.shut.Store(true)
	until(false)
	var h http.Handler = server.New(server.Config{}).Handler()
	d.put(h)
	d.shut.Store(false)
	until(true)
	workers, err := c.Workers(t.Context(), registry.Filter{Status: registry.Online})
	if err != nil || workers.Stale || len(workers.Value) != 1 || workers.Value[0].ID != "w" {
		t.Errorf("the new registry knows %+v, %v", workers, err)
	}
	end()
	if workers, err = c.Workers(t.Context(), registry.Filter{}); err != nil || workers.Stale || len(workers.Value) != 0 {
		t.Errorf("after the end it knows %+v, %v", workers, err)
	}
}

// Of two that have one id the later is registered, and after its end the other again.
func TestTwoOfOneID(t *testing.T) {
	_, c := open(t)
	states := make(chan registry.State, 64)
	end := announce(&registry.Announcement{
		To: c, Interval: 10 * time.Millisecond,
		OnState: func(s registry.State) { states <- s },
	})
	defer end()
	<-states
	next := worker("w")
	next.InstanceID = "2"
	if _, err := c.Register(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if s := <-states; !errors.Is(s.Err, registry.ErrSuperseded) {
		t.Errorf("the first one's state is %+v", s)
	}
	if err := c.Heartbeat(t.Context(), next); err != nil {
		t.Errorf("the new life: %v", err)
	}
	if err := c.Unregister(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if s := <-states; !s.Registered {
		t.Errorf("with the later one gone, the first one's state is %+v", s)
	}
}

// deaf is a registrar that takes registrations, and never answers anything else.
type deaf struct{}

func (deaf) Register(context.Context, registry.Component) (time.Duration, error) { return 0, nil }

func (deaf) Heartbeat(ctx context.Context, _ registry.Component) error {
	<-ctx.Done()
	return ctx.Err()
}

func (deaf) Unregister(ctx context.Context, _ registry.Component) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFarewellIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		hurry bool
		want  time.Duration
	}{"by its limit": {false, 2 * time.Second}, "by hurry": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hurry := make(chan struct{})
				a := registry.Announcement{To: deaf{}, Hurry: hurry}
				ctx, stop := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { a.Run(ctx) })
				time.Sleep(time.Second) // registered
				stop()
				if c.hurry {
					close(hurry)
				}
				began := time.Now()
				run.Wait()
				if took := time.Since(began); took != c.want {
					t.Errorf("the farewell took %v", took)
				}
			})
		})
	}
}

func TestBeatAtOnce(t *testing.T) {
	for atOnce, want := range map[bool]string{true: "register heartbeat", false: "register"} {
		synctest.Test(t, func(t *testing.T) {
			d := &desk{}
			end := announce(&registry.Announcement{To: d, BeatAtOnce: atOnce})
			time.Sleep(time.Second) // long before the interval is over
			if got := story(d.taken()); got != want {
				t.Errorf("at once %v: it did: %s", atOnce, got)
			}
			end()
		})
	}
}
