package main

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A launcher that is stopped feeds its watchdog no more, as long as it is.
func TestWatchdogStarvesWithTheLauncher(t *testing.T) {
	t.Parallel()
	const window = 400 * time.Millisecond
	conn, stop, err := listenAsManager()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	hears := func(text string, within time.Duration) bool {
		buf := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(within))
		for {
			n, err := conn.Read(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return false
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(buf[:n]), text) {
				return true
			}
		}
	}

	cmd := rbeeLaunch(t, "", "worker", "--engine", "builtin", "--registry-url", "", "--queen-url", "", "--port", ownPort(t))
	cmd.Env = append(cmd.Environ(), "NOTIFY_SOCKET="+conn.LocalAddr().String(), "WATCHDOG_USEC=400000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGCONT) // it may have ended
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if !hears("READY=1", e2eLimit) || !hears("WATCHDOG=1", e2eLimit) {
		t.Fatal("it is not ready, or feeds no watchdog")
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WUNTRACED, nil); err != nil { // until it has stopped
		t.Fatal(err)
	}
	for hears("", time.Millisecond) { // what it said before it stopped
	}
	if hears("WATCHDOG=1", 2*window) {
		t.Error("a stopped launcher feeds its watchdog")
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !hears("WATCHDOG=1", e2eLimit) {
		t.Error("it does not feed its watchdog again")
	}
}

// A server that nobody here wrote is ready when it says so itself.
func TestRedisNotifies(t *testing.T) {
	t.Parallel()
	redis := need(t, "redis-server")
	cmd := rbeeLaunch(t, "", "exec", "--id", "redis", "--port", ownPort(t), "--registry-url", "", "--queen-url", "", "--json",
		"--health-notify", "--", redis, "--supervised", "systemd", "--port", "{port}", "--save", "")
	events, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(events)
	for lines.Scan() && !strings.Contains(lines.Text(), `"event":"ready"`) {
	}
	if !strings.Contains(lines.Text(), `"event":"ready"`) {
		t.Errorf("it is never ready, the last event is %s", lines.Text())
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
