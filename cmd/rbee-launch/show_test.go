package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// The line that a launch is about is printed even if the launch is stopped before it
// was registered everywhere.
func TestReadyLineComesBeforeTheEnd(t *testing.T) {
	for _, end := range []launch.EventType{launch.Stopping, launch.Exited} {
		var out, news bytes.Buffer
		s := newShow(&cli.Call{Stdout: &out, Stderr: &news}, outputFlags{}, 2)
		code := 0
		s.event(launch.Event{Event: launch.Ready, ID: "x", URL: "http://127.0.0.1:8080", PID: 42})
		s.event(launch.Event{Event: launch.Registered, ID: "x", With: "registry"})
		s.event(launch.Event{Event: end, ID: "x", ExitCode: &code})
		s.close()
		if got := out.String(); !strings.HasPrefix(got, "x http://127.0.0.1:8080 pid 42, registered with registry") {
			t.Errorf("%s: stdout has %q", end, got)
		}
	}
}

// A child's output stands in a line of our own: nothing in it may move the cursor,
// change colours or the title, or turn the text around.
func TestPlain(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"text", "loading 10 % of größe…", "loading 10 % of größe…"},
		{"colour", "\x1b[31mred\x1b[0m text", "red text"},
		{"cursor", "a\x1b[2K\x1b[1Ab", "ab"},
		{"carriage return", "10 %\r20 %", "10 %20 %"},
		{"bell and backspace", "a\a\bb", "ab"},
		{"delete", "a\x7fb", "ab"},
		{"a CSI of one character", "a\u009b31mb", "a31mb"},
		{"right to left", "a\u202eb", "ab"},
		{"an unfinished sequence", "a\x1b[", "a"},
		{"nothing", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := plain(test.in); got != test.want {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
}

// Several lines stay several.
func TestPlainLines(t *testing.T) {
	if got := plainLines("one\x1b[2J\n  two\r\n"); got != "one\n  two\n" {
		t.Errorf("%q", got)
	}
}

// What tells more of a start comes first, and nothing is cut across two things.
func TestProgressLine(t *testing.T) {
	const access = `127.0.0.1 - - [26/Nov/2026 01:24:44] "GET /nosuch HTTP/1.1" 404 -`
	for _, test := range []struct {
		name string
		seen supervisor.Vitals
		n    int
		want string
	}{
		{
			"an answer",
			supervisor.Vitals{Answered: true, LastLine: access, Waiting: "GET http://h/nosuch: answers 404 Not Found"},
			99,
			`x: starting, 2.0 s · GET http://h/nosuch: answers 404 Not Found · 127.0.0.1 - - [2… HTTP/1.1" 404 -`,
		},
		{
			"an answer and no room",
			supervisor.Vitals{Answered: true, LastLine: access, Waiting: "GET http://h/nosuch: answers 404 Not Found"},
			79,
			`x: starting, 2.0 s · GET http://h/nosuch: answers 404 Not Found`,
		},
		{
			"an answer without any output",
			supervisor.Vitals{Answered: true, Waiting: "GET http://h/nosuch: answers 404 Not Found"},
			50,
			`x: starting, 2.0 s · GET http://h/n… 404 Not Found`,
		},
		{
			"not yet",
			supervisor.Vitals{LastLine: "loading 30 %", Waiting: "GET http://h/health: connection refused"},
			99,
			`x: starting, 2.0 s · loading 30 % · GET http://h/health: connection refused`,
		},
		{
			"not yet and no room",
			supervisor.Vitals{LastLine: "loading 30 %", Waiting: "GET http://h/health: connection refused"},
			50,
			`x: starting, 2.0 s · loading 30 %`,
		},
		{"nothing", supervisor.Vitals{}, 50, `x: starting, 2.0 s`},
		{"no room at all", supervisor.Vitals{LastLine: "loading 30 %"}, 15, ""},
	} {
		test.seen.Elapsed = 2 * time.Second
		got := progressLine(launch.Event{ID: "x", Seen: test.seen}, test.n)
		if test.want != "" && got != test.want || len([]rune(got)) > test.n {
			t.Errorf("%s: %q, not %q", test.name, got, test.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, test := range []struct {
		in   string
		n    int
		want string
	}{
		{"loading", 7, "loading"},
		{"loading", 6, "loa…ng"},
		{"loading", 5, "lo…ng"},
		{"größer als", 5, "gr…ls"},
		{"", 5, ""},
	} {
		if got := shorten(test.in, test.n); got != test.want {
			t.Errorf("%q in %d: %q, not %q", test.in, test.n, got, test.want)
		}
	}
}
