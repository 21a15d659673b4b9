package main

import (
	"testing"
	"time"
)

func TestParseSince(t *testing.T) {
	here := time.FixedZone("here", 2*60*60)
	now := time.Date(2026, 11, 23, 15, 4, 5, 6, here)
	at := func(day, hour, minute, second int) time.Time {
		return time.Date(2026, 11, day, hour, minute, second, 0, here)
	}
	for _, test := range []struct {
		text string
		want time.Time // zero for an error
	}{
		{"10m", now.Add(-10 * time.Minute)},
		{"1h30m", now.Add(-90 * time.Minute)},
		{"0", now},
		{"2026-11-20T09:08:07Z", at(20, 11, 8, 7)},
		{"2026-11-20T09:08:07.250Z", at(20, 11, 8, 7).Add(250 * time.Millisecond)}, // as a log has it
		{"2026-11-20T09:08:07-01:00", at(20, 12, 8, 7)},
		{"2026-11-20T09:08:07", at(20, 9, 8, 7)},
		{"2026-11-20 09:08:07", at(20, 9, 8, 7)},
		{"2026-11-20 09:08", at(20, 9, 8, 0)},
		{"2026-11-20T09:08", at(20, 9, 8, 0)},
		{"2026-11-20", at(20, 0, 0, 0)},
		{"09:08:07", at(23, 9, 8, 7)},
		{"09:08", at(23, 9, 8, 0)},
		{"23:00", at(23, 23, 0, 0)}, // not yet
		{"-10m", time.Time{}},
		{"10", time.Time{}},
		{"yesterday", time.Time{}},
		{"2026-13-01", time.Time{}},
		{"", time.Time{}},
	} {
		got, err := parseSince(test.text, now)
		if !got.Equal(test.want) || (err != nil) != test.want.IsZero() {
			t.Errorf("%q: %s, %v; not %s", test.text, got, err, test.want)
		}
	}
}
