package logfile_test

import (
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

func TestParse(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 15, 4, 5, 6e6, time.UTC)
	for _, test := range []struct {
		name, line string
		want       logfile.Line
	}{
		{"stdout", "2026-11-23T15:04:05.006Z stdout listening on 8080", logfile.Line{at, "stdout", "listening on 8080"}},
		{"stderr", "2026-11-23T15:04:05.006Z stderr oh", logfile.Line{at, "stderr", "oh"}},
		{"a note", "2026-11-23T15:04:05.006Z launch starts again in 1s", logfile.Line{at, "launch", "starts again in 1s"}},
		{"indented", "2026-11-23T15:04:05.006Z stdout   at main", logfile.Line{at, "stdout", "  at main"}},
		{"blank", "2026-11-23T15:04:05.006Z stdout ", logfile.Line{at, "stdout", ""}},
		{"after a hole", "\x00\x002026-11-23T15:04:05.006Z stdout a", logfile.Line{at, "stdout", "a"}},
		{"a stranger's", "hello there you", logfile.Line{Text: "hello there you"}},
		{"cut off", "2026-11-23T15:04:05.006Z stdo", logfile.Line{Text: "2026-11-23T15:04:05.006Z stdo"}},
		{"empty", "", logfile.Line{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := logfile.Parse([]byte(test.line)); got != test.want {
				t.Errorf("%+v, not %+v", got, test.want)
			}
		})
	}
}

// A line is printed as it was written.
func TestString(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"2026-11-23T15:04:05.000Z stderr  two spaces", "none of ours"} {
		if got := logfile.Parse([]byte(line)).String(); got != line {
			t.Errorf("%q, not %q", got, line)
		}
	}
}
