package hive

import (
	"errors"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
)

// TestAttempts: an orphan is one attempt's at a time, is let be for longer after each that
// has failed, and is new when it was none for a while.
func TestAttempts(t *testing.T) {
	t.Parallel()
	a := attempts{tend: time.Second}
	orphan := []launch.Orphan{{Launch: launch.Launch{ID: "w"}}}
	failed := errors.New("no")
	now := time.Now()
	due := func(after time.Duration) bool { now = now.Add(after); return len(a.begin(now, orphan)) == 1 }
	if !due(0) || due(time.Hour) {
		t.Error("it is not due, or twice at once")
	}
	for i, wait := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		if n := a.end(now, "w", failed); n != i+1 {
			t.Errorf("%d failures are %d", i+1, n)
		}
		if due(wait*time.Second - 1) {
			t.Errorf("after %d failures it is due before %d s", i+1, wait)
		}
		if !due(1) {
			t.Errorf("after %d failures it is not due after %d s", i+1, wait)
		}
	}
	if n := a.end(now, "w", nil); n != 0 || !due(0) {
		t.Errorf("after a success there are %d failures, or it is not due", n)
	}
	a.end(now, "w", failed)
	a.begin(now, nil) // it is none any more
	if !due(0) {
		t.Error("an orphan anew is not due")
	}
	for n, want := range map[int]bool{1: true, 2: false, 10: true, 11: false, 100: true, 150: false, 200: true} {
		if seldom(n) != want {
			t.Errorf("the %d-th is told: %v", n, !want)
		}
	}
}
