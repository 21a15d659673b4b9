package registry

import (
	"testing"
	"time"
)

func TestRetryPause(t *testing.T) {
	const never = time.Hour
	for _, tt := range []struct {
		failures int
		interval time.Duration
		chance   float64
		want     time.Duration
	}{
		{1, never, 1, 50 * time.Millisecond},
		{2, never, 1, 100 * time.Millisecond},
		{7, never, 1, 3200 * time.Millisecond},
		{8, never, 1, 5 * time.Second},
		{1 << 40, never, 1, 5 * time.Second},
		{8, never, 0.5, 2500 * time.Millisecond},
		{8, never, 0, 0},
		{8, 2 * time.Second, 1, 2 * time.Second}, // a heartbeat's interval is long enough to be away
	} {
		if got := retryPause(tt.failures, tt.interval, tt.chance); got != tt.want {
			t.Errorf("retryPause(%d, %v, %v) = %v, want %v", tt.failures, tt.interval, tt.chance, got, tt.want)
		}
	}
}

func TestBeatPause(t *testing.T) {
	for chance, want := range map[float64]time.Duration{0: 16 * time.Second, 0.5: 14 * time.Second, 1: 12 * time.Second} {
		if got := beatPause(16*time.Second, chance); got != want {
			t.Errorf("beatPause(16s, %v) = %v, want %v", chance, got, want)
		}
	}
}
