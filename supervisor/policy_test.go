package supervisor

import (
	"testing"
	"time"
)

func TestDelay(t *testing.T) {
	r := Restart{Initial: time.Second, Max: 10 * time.Second}.withDefaults()
	for _, c := range []struct {
		failures int
		chance   float64
		want     time.Duration
	}{
		{1, 0, 0}, // after a healthy spell
		{2, 0, time.Second},
		{3, 0, 2 * time.Second},
		{5, 0, 8 * time.Second},
		{6, 0, 10 * time.Second},
		{1000000, 0, 10 * time.Second},
		{3, 0.5, 1500 * time.Millisecond},
		{3, 0.999999, time.Second + 2*time.Microsecond/2},
	} {
		got := r.delay(c.failures, c.chance)
		if diff := got - c.want; diff < -time.Millisecond || diff > time.Millisecond {
			t.Errorf("after %d failures, chance %v: %v, want %v", c.failures, c.chance, got, c.want)
		}
	}
}

func TestRecord(t *testing.T) {
	r := Restart{Healthy: 30 * time.Second}
	if got := r.record(7, 30*time.Second); got != 1 {
		t.Errorf("the end of a healthy spell is number %d", got)
	}
	if got := r.record(7, 29*time.Second); got != 8 {
		t.Errorf("a short life makes it %d failures", got)
	}
}

func TestWants(t *testing.T) {
	for _, c := range []struct {
		when         When
		good, failed bool
	}{{"", false, false}, {Never, false, false}, {OnFailure, false, true}, {Always, true, true}} {
		r := Restart{When: c.when}
		if r.wants(false) != c.good || r.wants(true) != c.failed {
			t.Errorf("%q: %v after a good life, %v after a failed one", c.when, r.wants(false), r.wants(true))
		}
	}
}

func TestAlive(t *testing.T) {
	before := Usage{Processes: 1, RSS: 100 << 20, CPU: time.Second, IO: 5 << 20}
	for name, c := range map[string]struct {
		change func(*Usage)
		want   bool
	}{
		"nothing":       {func(*Usage) {}, false},
		"memory":        {func(u *Usage) { u.RSS += 2 << 20 }, true},
		"memory back":   {func(u *Usage) { u.RSS -= 2 << 20 }, false},
		"processor":     {func(u *Usage) { u.CPU += 300 * time.Millisecond }, true},
		"idle polling":  {func(u *Usage) { u.CPU += 20 * time.Millisecond; u.IO += 4096 }, false},
		"disk":          {func(u *Usage) { u.IO += 3 << 20 }, true},
		"a new process": {func(u *Usage) { u.Processes++ }, true},
	} {
		now := before
		c.change(&now)
		if got := alive(before, now, time.Second); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
