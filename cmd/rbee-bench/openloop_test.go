package main

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stalling is a server that answers one request at a time, at once, except that it
// answers none from the one moment to the other.
type stalling struct {
	from, to time.Time

	turn  chan struct{} // of one; a mutex would hold synctest's time
	asked int
}

func (s *stalling) answer(context.Context, int64) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.asked++
	if now := time.Now(); !now.Before(s.from) && now.Before(s.to) {
		time.Sleep(s.to.Sub(now))
	}
	return nil
}

// A request each millisecond, and a stall of 100 ms: all requests that were due in it
// waited for its end, the first for 100 ms, the last for one, with however few
// connections they were made.
func TestAStallCountsAgainstAllThatWereDue(t *testing.T) {
	for _, connections := range []int{1, 4} {
		synctest.Test(t, func(t *testing.T) {
			l := loop{start: time.Now(), rate: 1000, count: 300, waiter: newSleeper, late: 50 * time.Millisecond}
			s := &stalling{from: l.due(100), to: l.due(200), turn: make(chan struct{}, 1)}
			got := runLoop(t, t.Context(), l, repeat(connections, s.answer))
			if s.asked != 300 || got.count != 300 || got.failed != 0 {
				t.Errorf("%d requests were made, and %d counted, %d as failed", s.asked, got.count, got.failed)
			}
			var waited int64
			for _, bar := range got.latency.Distribution() {
				if bar.To >= int64(time.Millisecond) {
					waited += bar.Count
				}
			}
			if waited != 100 {
				t.Errorf("with %d connections %d requests waited, want the 100 that were due in the stall", connections, waited)
			}
			if got.late != 50 {
				t.Errorf("%d waited for more than 50 ms, want 50", got.late)
			}
			near(t, "the longest", got.max(), 100*time.Millisecond)
			near(t, "the median", got.quantile(50), 0)
			near(t, "the 5th of 6", got.quantile(100*5/6.), 50*time.Millisecond)
		})
	}
}

// A stall is told of the part that it was in.
func TestParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := loop{start: time.Now(), rate: 1000, count: 300, waiter: newSleeper}
		s := &stalling{from: l.due(100), to: l.due(120), turn: make(chan struct{}, 1)}
		parts, err := l.runParts(t.Context(), repeat(1, s.answer), []int64{100, 250})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct {
			count   int64
			longest time.Duration
		}{{100, 0}, {150, 20 * time.Millisecond}, {50, 0}} {
			if parts[i].count != want.count {
				t.Errorf("part %d has %d requests, want %d", i, parts[i].count, want.count)
			}
			near(t, "the longest", parts[i].max(), want.longest)
		}
	})
}

// What is never answered is not forgotten, nor is what could not be sent for it.
func TestWhatIsDueAtTheEndHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond+time.Microsecond)
		defer cancel()
		l := loop{start: time.Now(), rate: 1000, count: 300, waiter: newSleeper}
		got := runLoop(t, ctx, l, repeat(2, func(_ context.Context, i int64) error {
			if i < 50 {
				return nil
			}
			<-ctx.Done()
			return errors.New("cut")
		}))
		if got.count != 101 || got.failed != 51 {
			t.Errorf("%d were due, %d of them failed; want 101 and 51", got.count, got.failed)
		}
		near(t, "the longest", got.max(), 50*time.Millisecond)
	})
}

// A faster server makes nobody ask more often.
func TestARateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := loop{start: time.Now().Add(time.Second), rate: 333, count: 1000, waiter: newSleeper}
		var first time.Time
		var once sync.Once
		got := runLoop(t, t.Context(), l, repeat(8, func(context.Context, int64) error {
			once.Do(func() { first = time.Now() })
			return nil
		}))
		if !first.Equal(l.start) || time.Since(l.start) != l.due(999).Sub(l.start) {
			t.Errorf("the first was made after %s, the last after %s", first.Sub(l.start), time.Since(l.start))
		}
		if got.max() > time.Microsecond {
			t.Errorf("one waited for %s", got.max())
		}
	})
}

func repeat(n int, do request) []request {
	all := make([]request, n)
	for i := range all {
		all[i] = do
	}
	return all
}

func runLoop(t *testing.T, ctx context.Context, l loop, requests []request) outcome {
	t.Helper()
	got, err := l.run(ctx, requests)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// near allows for a histogram's three digits.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if (got - want).Abs() > max(want/100, 2*time.Microsecond) {
		t.Errorf("%s waited for %s, want %s", what, got, want)
	}
}
