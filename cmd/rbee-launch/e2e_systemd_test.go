package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
	"github.com/rbee-launch/rbee-launch/internal/program"
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
	if err := proctest.Signal(cmd.Process.Pid, syscall.SIGSTOP); err != nil {
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

const deployDir = "../../deploy/systemd"

// systemd finds no fault with the units; what they run is another matter, so there are
// programs in its place.
func TestUnitsVerify(t *testing.T) {
	t.Parallel()
	analyze := need(t, "systemd-analyze")
	dir := t.TempDir()
	for name, text := range units(t) {
		writeFile(t, filepath.Join(dir, name), regexp.MustCompile(`/usr/local/bin/[a-z-]+`).ReplaceAllString(text, "/bin/sh"))
		instance := strings.Replace(name, "@.", "@example.", 1)
		out, err := exec.Command(analyze, "verify", "--man=no", filepath.Join(dir, instance)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", instance, err, out)
		}
	}
}

// The programs that the units start are there, and our own command line is one that we take.
func TestUnitsCommands(t *testing.T) {
	t.Parallel()
	for name, text := range units(t) {
		command := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/(\S+)(.*)$`).FindStringSubmatch(text)
		switch {
		case command == nil:
			t.Errorf("%s starts nothing of ours", name)
		case command[1] == "rbee-launch":
			parser, err := app().Parser()
			if err != nil {
				t.Fatal(err)
			}
			args := strings.ReplaceAll(command[2], "$ENGINE_ARGS", "--ctx-size 8192")
			if _, err := parser.Parse(strings.Fields(args)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !program.Knows(command[1]):
			t.Errorf("%s starts %s, which there is not", name, command[1])
		}
	}
}

// units are the texts of our unit files by name.
func units(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(deployDir + "/*.service")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no units in %s, %v", deployDir, err)
	}
	found := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = string(text)
	}
	return found
}
