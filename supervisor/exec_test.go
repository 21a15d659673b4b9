package supervisor_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

func TestExecProbe(t *testing.T) {
	dir := t.TempDir()
	spec := script(`exec sleep 1000`)
	probe := supervisor.Exec([]string{"/bin/sh", "-c", `test -e "$DIR/go" || { echo "not yet"; exit 3; }`}, []string{"DIR=" + dir})
	spec.Ready = []supervisor.Probe{probe}
	r := start(t, supervisor.Config{}, spec)
	if seen := r.want(supervisor.Progress).Seen; !strings.Contains(seen.Waiting, "exit code 3: not yet") {
		t.Errorf("while it fails, %q is said", seen.Waiting)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.want(supervisor.Ready)
}

func TestExecProbeMissing(t *testing.T) {
	spec := script(`exec sleep 1000`)
	spec.Ready = []supervisor.Probe{supervisor.Exec([]string{"no-such-program-anywhere"}, nil)}
	if err := <-start(t, supervisor.Config{}, spec).err; err == nil || !strings.Contains(err.Error(), "no-such-program-anywhere") {
		t.Error(err)
	}
}

// A probe's command that hangs is ended with all that it started.
func TestExecProbeLeavesNothing(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	spec := script(`exec sleep 1000`)
	probe := supervisor.Exec([]string{"/bin/sh", "-c", `sleep 1000 & echo $! >>"$0"; wait`, started}, nil)
	probe.Timeout = 200 * time.Millisecond
	spec.Ready = []supervisor.Probe{probe}
	spec.StartLimit = 500 * time.Millisecond
	late := wantErr[*supervisor.NotReadyError](t, start(t, supervisor.Config{}, spec))
	if !strings.Contains(late.Seen.Waiting, "no answer within 200ms") {
		t.Errorf("it waited for %q", late.Seen.Waiting)
	}
	text, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("pid %d, which a probe started, lives on (%v)", pid, err)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
