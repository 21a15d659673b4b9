package guard_test

import (
	"os"
	"syscall"
	"testing"
)

// Signals are for the child to act on: one without a handler for them would kill what it
// has started.
func TestPassOn(t *testing.T) {
	g := start(t)
	c, out := spawn(t, g, `
		exec 2>/dev/null; sleep 1000 &
		trap 'kill -TERM $!; wait $!; echo its child ended with $?; exit 7' USR1
		echo ready; wait`)
	line(t, out)
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGUSR1
	c.PassOn(t.Context(), signals) // returns, since the child exits
	if got, want := line(t, out), "its child ended with 143"; got != want {
		t.Errorf("%s, want %q", got, want)
	}
	if code := c.Exit().Code; code != 7 {
		t.Errorf("exit code %d, want 7", code)
	}
}

func TestPassOnUntilClosed(t *testing.T) {
	c, _ := spawn(t, start(t), "sleep 1000")
	signals := make(chan os.Signal)
	close(signals)
	c.PassOn(t.Context(), signals)
}
