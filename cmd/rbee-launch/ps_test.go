package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
)

// What a launch is called drives no terminal, and has no column to itself.
func TestPsIsPlain(t *testing.T) {
	const odd = "a\x1b[2J\tb\nc"
	var out, news bytes.Buffer
	l := launch.Launch{ID: odd, Model: odd, Engine: odd, Status: launch.IsOrphaned}
	if err := (&psCmd{}).list(&cli.Call{Stdout: &out, Stderr: &news}, []launch.Launch{l}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "abc"); n != 3 || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("listed: %q", out.String())
	}
	for _, text := range []string{out.String(), news.String()} {
		if strings.ContainsFunc(strings.ReplaceAll(text, "\n", ""), unicode.IsControl) {
			t.Errorf("printed: %q", text)
		}
	}
}
