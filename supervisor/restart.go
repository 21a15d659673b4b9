package supervisor

import (
	"math/rand/v2"
	"time"
)

// When says after which ends a child is started again.
type When string

// The restart policies. The zero value is Never.
const (
	Never     When = "never"
	OnFailure When = "on-failure" // any end but exit code 0
	Always    When = "always"
)

// Restart is a restart policy. After a healthy spell the first restart comes at
// once; then each waits twice as long as the one before, with jitter.
type Restart struct {
	When    When
	Initial time.Duration // the second restart's longest wait; 500 ms when zero
	Max     time.Duration // no wait is longer; 1 min when zero
	Healthy time.Duration // a life that was ready for so long clears the record; 30 s when zero
}

func (r Restart) withDefaults() Restart {
	if r.Initial == 0 {
		r.Initial = 500 * time.Millisecond
	}
	if r.Max == 0 {
		r.Max = time.Minute
	}
	if r.Healthy == 0 {
		r.Healthy = 30 * time.Second
	}
	return r
}

// wants reports whether a child is to be started again after a life that failed or not.
func (r Restart) wants(failed bool) bool {
	switch r.When {
	case Always:
		return true
	case OnFailure:
		return failed
	default:
		return false
	}
}

// record counts a life that ended after it had been ready for the given time and
// returns the ends in a row; the one after a healthy spell is the first.
func (r Restart) record(failures int, ready time.Duration) int {
	if ready >= r.Healthy {
		return 1
	}
	return failures + 1
}

// delay is the wait before the restart that follows so many failures in a row.
// chance, in [0,1), takes up to half of it off, so that children that died
// together do not come back together.
func (r Restart) delay(failures int, chance float64) time.Duration {
	if failures <= 1 {
		return 0
	}
	wait := r.Initial
	for range failures - 2 {
		if wait *= 2; wait >= r.Max {
			break
		}
	}
	wait = min(wait, r.Max)
	return wait - time.Duration(chance*float64(wait)/2)
}

func chance() float64 { return rand.Float64() }
