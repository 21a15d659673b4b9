package sdnotify_test

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/sdnotify"
)

// manager listens as systemd does.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func message(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 8<<10)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestMessages(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	s := sdnotify.Start(slog.New(slog.DiscardHandler))
	if got := s.WatchdogInterval(); got != 1500*time.Millisecond {
		t.Errorf("the watchdog is to be fed every %s", got)
	}
	s.Status("loading, 50%\nMAINPID=1\x1b[0m")
	s.Alive(15 * time.Second)
	s.Ready("up")
	s.Alive(0)
	s.Stopping(strings.Repeat("ä", 5000))
	s.Close()
	for _, want := range []string{
		"STATUS=loading, 50% MAINPID=1 [0m",
		"WATCHDOG=1\nEXTEND_TIMEOUT_USEC=15000000",
		"READY=1\nSTATUS=up",
		"WATCHDOG=1",
		"STOPPING=1\nSTATUS=" + strings.Repeat("ä", 500),
	} {
		if got := message(t, conn); got != want {
			t.Errorf("it said %q, want %q", got, want)
		}
	}
}

// Without a watchdog there is nothing to feed, and another process's is not ours.
func TestNoWatchdog(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", "1")
	s := sdnotify.Start(slog.New(slog.DiscardHandler))
	if got := s.WatchdogInterval(); got != 0 {
		t.Errorf("the watchdog is to be fed every %s", got)
	}
	s.Alive(0)
	s.Alive(time.Second)
	s.Close()
	if got := message(t, conn); got != "EXTEND_TIMEOUT_USEC=1000000" {
		t.Errorf("it said %q", got)
	}
}

func TestNoManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	s := sdnotify.Start(slog.New(slog.DiscardHandler))
	if s != nil {
		t.Fatal("there is no manager, and yet a service")
	}
	s.Ready("all methods do nothing")
	s.Alive(time.Second)
	s.Close()
}

// A manager that takes nothing holds up nobody, not even the end.
func TestManagerHangs(t *testing.T) {
	conn := manager(t)
	s := sdnotify.Start(slog.New(slog.DiscardHandler))
	for range 10_000 { // more than any queue of the kernel's has room for
		s.Status("busy")
	}
	s.Close()
	_ = message(t, conn) // it was there
}
