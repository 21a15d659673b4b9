package supervisor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

func TestChildEnv(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/run/systemd/notify")
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("INVOCATION_ID", "harmless")

	own := supervisor.ChildEnv(nil)
	for _, entry := range own {
		key, _, _ := strings.Cut(entry, "=")
		if slices.Contains([]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"}, key) {
			t.Errorf("a child would get %s", entry)
		}
	}
	if !slices.Contains(own, "INVOCATION_ID=harmless") {
		t.Error("a child would not get INVOCATION_ID")
	}

	given := []string{"PORT=1", "NOTIFY_SOCKET=/run/systemd/notify", "LISTEN_FDS=2", "A=b=c", "PORT=2", "EMPTY="}
	want := []string{"LISTEN_FDS=2", "A=b=c", "PORT=2", "EMPTY="}
	if got := supervisor.ChildEnv(given); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := supervisor.ChildEnv([]string{}); len(got) != 0 {
		t.Errorf("an empty environment becomes %q", got)
	}
}
