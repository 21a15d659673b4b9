package guard_test

import (
	"net"
	"path/filepath"
	"testing"

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
