package guard_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// A program that is stopped for days costs its guard no more memory than for seconds,
// however many children print meanwhile, and is told later what it missed.
func TestUnreadIsBounded(t *testing.T) {
	t.Parallel()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket")})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ours, err := net.DialUnix("unix", nil, ln.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ln.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	const lines = 200_000
	waiting, told := guard.Flood(ours, theirs, lines)
	if waiting > lines/4 {
		t.Errorf("%d messages wait for one who does not read", waiting)
	}
	if told != lines {
		t.Errorf("%d lines are told of, not %d", told, lines)
	}
}

// A program that is slow to read may hold up the guard until after the child's end. The
// last output is in the pipe then, and belongs into the log.
func TestLastOutputIsLogged(t *testing.T) {
	t.Parallel()
	g := start(t)
	read := make(chan struct{})
	defer close(read)
	log := filepath.Join(t.TempDir(), "log")
	cmd := shell("seq 24000; echo last", nil)
	cmd.Output = &guard.Output{Log: guard.LogFile{Path: log}, OnLine: func(guard.Line) { <-read }}
	if _, err := g.Spawn(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		body, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.HasSuffix(body, []byte(" stdout last\n")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it ends with %q", body[max(0, len(body)-100):])
		}
	}
}
