package server_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// In these tests time is synctest's: it passes when everyone waits.

// running is a registry whose expiry runs until the test ends.
func running(t *testing.T, cfg server.Config) api {
	t.Helper()
	s := server.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the registry's end is an error: %v", err)
		}
	})
	return api{t, s.Handler()}
}

// status is what the worker is once everything that is due has happened.
func (a api) status(id string) string {
	a.t.Helper()
	synctest.Wait() // who reads while the registry judges does not wait for it
	switch id {
	case a.ids("workers?status=online"):
		return "online"
	case a.ids("workers?status=offline"):
		return "offline"
	default:
		return "gone"
	}
}

func TestSilenceEndsInRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`))
		var silent time.Duration
		for _, step := range []struct {
			silence  time.Duration
			status   string
			revision float64
		}{
			{30 * time.Second, "online", 1},
			{30*time.Second + 1, "offline", 2},
			{90*time.Second - 1, "offline", 2},
			{90 * time.Second, "gone", 3},
		} {
			time.Sleep(step.silence - silent)
			silent = step.silence
			if got := a.status("w"); got != step.status {
				t.Errorf("after %v the worker is %s, want %s", step.silence, got, step.status)
			}
			if got := a.revision(); got != step.revision {
				t.Errorf("after %v the revision is %v, want %v", step.silence, got, step.revision)
			}
		}
		a.want(404, a.post("heartbeat", `{"worker_id":"w"}`))
	})
}

// The revision has to move when no one asks, for those who will watch it.
func TestExpiryNeedsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{OnlineWindow: time.Second, RemoveAfter: 3 * time.Second})
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`))
		time.Sleep(time.Minute)
		if r := a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`)); r["revision"] != 4.0 {
			t.Errorf("registered, offline, expired and registered made revision %v", r["revision"])
		}
	})
}

func TestHeartbeatsKeepOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`))
		for range 100 {
			time.Sleep(30 * time.Second) // the longest that is allowed
			a.want(200, a.post("heartbeat", `{"worker_id":"w"}`))
		}
		if got, revision := a.status("w"), a.revision(); got != "online" || revision != 1 {
			t.Errorf("after 50 minutes of heartbeats it is %s at revision %v", got, revision)
		}
		time.Sleep(time.Minute)
		a.want(200, a.post("heartbeat", `{"worker_id":"w"}`))
		if got, revision := a.status("w"), a.revision(); got != "online" || revision != 3 {
			t.Errorf("after coming back it is %s at revision %v", got, revision)
		}
	})
}

func TestAnOfflineComponentMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		worker := func(instance string) string {
			return fmt.Sprintf(`{"worker_id":"w","instance_id":%q,"hostname":"h","port":1}`, instance)
		}
		a.want(200, a.post("register", worker(second)))
		a.want(200, a.post("register", `{"component_type":"queen","component_id":"one","hostname":"h","port":2}`))
		time.Sleep(31 * time.Second)
		// After a clock that was set back, a new life may have an older name.
		a.want(200, a.post("register", worker(first)))
		a.want(200, a.post("register", `{"component_type":"queen","component_id":"two","hostname":"h","port":3}`))
		a.want(404, a.post("heartbeat", `{"component_type":"queen","component_id":"one"}`))
		if queen := a.want(200, a.get("queen")); queen["component_id"] != "two" {
			t.Errorf("the queen is %v", queen["component_id"])
		}
	})
}

func TestAQueenOfTheSameNameTakesThePlaceOfOneOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		a.want(200, a.post("register", `{"component_type":"queen","hostname":"box","port":7833}`))
		time.Sleep(31 * time.Second)
		r := a.want(200, a.post("register", `{"component_type":"queen","hostname":"box2","port":7833}`))
		if r["revision"] != 3.0 { // registered, offline, and this
			t.Errorf("the revision is %v", r["revision"])
		}
		if queen := a.want(200, a.get("queen")); queen["hostname"] != "box2" {
			t.Errorf("the queen is %v", queen)
		}
	})
}

func TestRegisteredAtIsTheStartOfALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		began := a.want(200, a.post("register", `{"worker_id":"w","instance_id":"x","hostname":"h","port":1}`))
		time.Sleep(10 * time.Second)
		again := a.want(200, a.post("register", `{"worker_id":"w","instance_id":"x","hostname":"h","port":2}`))
		if again["registered_at"] != began["registered_at"] || again["last_seen"] == began["last_seen"] {
			t.Errorf("registered again, the life of %v is that of %v", began, again)
		}
		next := a.want(200, a.post("register", `{"worker_id":"w","instance_id":"y","hostname":"h","port":2}`))
		if next["registered_at"] == began["registered_at"] {
			t.Errorf("another life began at %v too", next["registered_at"])
		}
	})
}

// A registry that slept has not listened. With one to three components there is
// no majority to go by either.
func TestAStallOfTheRegistryCountsAgainstNoOne(t *testing.T) {
	for n := 1; n <= 3; n++ {
		synctest.Test(t, func(t *testing.T) {
			s := server.New(server.Config{})
			a := api{t, s.Handler()}
			want := ""
			for i := range n {
				id := string(rune('a' + i))
				a.want(200, a.post("register", fmt.Sprintf(`{"worker_id":%q,"hostname":"h","port":1}`, id)))
				want += " " + id
			}
			want = want[1:]
			time.Sleep(time.Hour) // and nothing of the registry runs
			if got := a.ids("workers?status=online"); got != want {
				t.Errorf("after the stall %q are online, want %q", got, want)
			}

			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			defer func() { cancel(); <-done }()
			time.Sleep(20 * time.Second)
			a.want(200, a.post("heartbeat", `{"worker_id":"a"}`))
			time.Sleep(10*time.Second + 1)
			synctest.Wait()
			if got := a.ids("workers?status=online"); got != "a" {
				t.Errorf("one window later %q are online, want those who beat", got)
			}
		})
	}
}

// What was offline before the stall must not become online by it.
func TestAStallBringsNoOneBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api{t, server.New(server.Config{}).Handler()}
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`))
		for range 4 {
			time.Sleep(10 * time.Second)
			a.revision() // someone looks
		}
		if got := a.status("w"); got != "offline" {
			t.Fatalf("before the stall it is %s", got)
		}
		time.Sleep(time.Hour)
		if got := a.status("w"); got != "offline" {
			t.Errorf("after the stall it is %s", got)
		}
	})
}
