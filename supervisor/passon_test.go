package supervisor_test

import (
	"context"
	"os"
	"regexp"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// A signal is the present life's; what comes between two lives is nobody's.
func TestSignalsArePassedOn(t *testing.T) {
	signals := make(chan os.Signal, 1)
	spec := script("trap 'exit 7' USR1; trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done")
	spec.Ready = []supervisor.Probe{supervisor.LogLine(regexp.MustCompile("up"))}
	r := start(t, supervisor.Config{
		Signals: signals, Restart: supervisor.Restart{When: supervisor.Always},
		Spec: func(_ context.Context, a supervisor.Attempt) (supervisor.Spec, error) {
			if a.Life == 2 {
				signals <- syscall.SIGUSR1
			}
			return spec, nil
		},
	})
	r.want(supervisor.Ready)
	signals <- syscall.SIGUSR1
	if e := r.want(supervisor.Exited); e.Exit.Code != 7 {
		t.Errorf("%s, want exit code 7", e.Exit)
	}
	if life := r.want(supervisor.Ready).Life; life != 2 {
		t.Errorf("life %d is the next that gets ready, want 2", life)
	}
	r.stop()
	if e := r.want(supervisor.Stopped); e.Exit == nil || e.Exit.Code != 9 {
		t.Errorf("stopped with %v, want exit code 9", e.Exit)
	}
}
