package supervisor

import (
	"strconv"
	"testing"
	"time"
)

func TestEchoes(t *testing.T) {
	const poll, took = 250 * time.Millisecond, 5 * time.Millisecond
	access := func(n int) string { return "127.0.0.1:" + strconv.Itoa(40000+n) + ` "GET /nosuch HTTP/1.1" 404 -` }
	progress := func(n int) string { return "loading: " + strconv.Itoa(n) + " %" }
	for _, test := range []struct {
		name  string
		line  func(n int) string
		every int           // probes
		after time.Duration // the end of a probe
		signs int           // of 10 lines
	}{
		{"an access log", access, 1, 0, 1},
		{"one written late", access, 1, echoAfter, 1},
		{"a line for every other probe", progress, 2, 0, 10},
		{"a line between two probes", progress, 1, echoAfter + 1, 10},
	} {
		var e echoes
		now, signs := time.Now(), 0
		for n := range 10 * test.every {
			e.begin(now)
			e.end(now.Add(took))
			if n%test.every == 0 && !e.echo(test.line(n), now.Add(took+test.after)) {
				signs++
			}
			now = now.Add(poll)
		}
		if signs != test.signs {
			t.Errorf("%s: %d signs of life, want %d", test.name, signs, test.signs)
		}
	}
}

// While a probe waits for its answer, lines are its echo for a moment only.
func TestEchoesOfALongProbe(t *testing.T) {
	var e echoes
	now, signs := time.Now(), 0
	if e.echo("before any", now) {
		t.Error("the echo of no probe")
	}
	for range 10 {
		e.begin(now)
		for at := time.Duration(0); at < 3*echoWithin; at += echoWithin * 3 / 4 {
			if !e.echo("loading", now.Add(at)) {
				signs++
			}
		}
		now = now.Add(3 * echoWithin)
		e.end(now)
	}
	if want := 4 + 9*2; signs != want { // of four lines in each probe two come late; those of the first all count
		t.Errorf("%d signs of life, want %d", signs, want)
	}
}
