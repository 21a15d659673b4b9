package proctest_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
)

func TestSignal(t *testing.T) {
	t.Parallel()
	mark := "proctest " + strconv.FormatInt(time.Now().UnixNano(), 36)
	if proctest.Mentioned(mark) {
		t.Fatalf("somebody has the argument %q already", mark)
	}
	cmd := exec.Command("sh", "-c", "while :; do :; done", mark)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !proctest.Mentioned(mark) {
		t.Errorf("nobody has the argument %q", mark)
	}
	for range 200 {
		if err := proctest.Signal(cmd.Process.Pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
		if err != nil || !strings.Contains(string(status), "\nState:\tT") {
			t.Fatalf("it has been stopped, and is, %v:\n%s", err, status)
		}
		if err := proctest.Signal(cmd.Process.Pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	if err := proctest.Signal(cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if err := proctest.Signal(cmd.Process.Pid, syscall.SIGSTOP); err == nil {
		t.Error("who is not there was stopped")
	}
}
