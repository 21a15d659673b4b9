package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

func TestFit(t *testing.T) {
	for _, test := range []struct {
		name  string
		width int
		rows  [][]string
		want  []string
	}{
		{"room enough", 20, [][]string{{"ID", "PID"}, {"web", "1234"}}, []string{"ID|PID", "web|1234"}},
		{"as much as there is room", 10, [][]string{{"ID", "PID"}, {"web", "1234"}}, []string{"ID|PID", "web|1234"}},
		{"one too many", 9, [][]string{{"ID", "PID"}, {"web", "1234"}}, []string{"ID|PID", "web|1…4"}},
		{
			"the widest give way", 27,
			[][]string{{"ID", "TYPE", "WHERE"}, {"worker-llm-8080@box2", "llm", "box2:8080"}},
			[]string{"ID|TYPE|WHERE", "work…ox2|llm|box2:8080"},
		},
		{"characters, not bytes", 9, [][]string{{"größer", ""}}, []string{"größer|"}},
		{"what drives a terminal", 20, [][]string{{"a\x1b[2Jb", "c\td\x07"}}, []string{"ab|cd"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			fit(test.rows, test.width)
			var got []string
			for _, cells := range test.rows {
				got = append(got, strings.Join(cells, "|"))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, not %q", got, test.want)
			}
		})
	}
}

func TestFitKeepsToTheWidth(t *testing.T) {
	const width = 100
	long := strings.Repeat("x", 300)
	rows := [][]string{{"ID", "TYPE", "STATUS", "PID", "WHERE", "MODEL", "AGE"}, {long, long, "online", "12345", long, long, "1h2m3s"}}
	fit(rows, width)
	var b strings.Builder
	if err := table(&b, strings.Join(rows[0], "\t"), []string{strings.Join(rows[1], "\t")}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

func TestSame(t *testing.T) {
	own := launch.Launch{ID: "queen-rbee", InstanceID: "mine", Port: 7833}
	entry := func(id, instance, host string, port int) registry.Entry {
		return registry.Entry{Component: registry.Component{ID: id, InstanceID: instance, Hostname: host, Port: port}}
	}
	for _, test := range []struct {
		name string
		c    registry.Entry
		here bool
		want bool
	}{
		{"its instance", entry("web@box", "mine", "box", 1), false, true},
		{"its port on this machine", entry("queen", "hers", "localhost", 7833), true, true},
		{"its port on the registry's machine", entry("queen", "hers", "localhost", 7833), false, false},
		{"its port on another machine", entry("queen", "hers", "box2", 7833), true, false},
		{"its id on another machine", entry("queen-rbee", "other", "box2", 1), true, false},
		{"no instance", entry("queen-rbee", "", "box2", 1), true, false},
	} {
		if got := (&everybody{here: test.here}).same(own, test.c); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
