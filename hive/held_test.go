package hive_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/hive/client"
)

// TestStopOfHeldWorker: a worker whose keeper nobody can tell of a stop is not waited for
// without end, and the answer says who that keeper is.
func TestStopOfHeldWorker(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	w := b.spawn()
	base := filepath.Join(b.cfg.RuntimeDir, "launches", w.WorkerID)
	before, err := os.ReadFile(base + ".json")
	if err != nil {
		t.Fatal(err)
	}
	first := b.launched(w.WorkerID).SupervisorPID
	b.kill(first)
	b.eventually("it has another keeper", func() bool {
		_, _, text := b.ask("GET", "/metrics", "")
		return strings.Contains(text, "\nrbee_hive_adoptions_total 1\n")
	})
	keeper := b.launched(w.WorkerID).SupervisorPID
	// As if that one could have written nothing.
	for _, err := range []error{os.WriteFile(base+".json", before, 0o600), os.Remove(base + ".sock"), os.MkdirAll(filepath.Join(base+".sock", "in the way"), 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	status, _, answer := b.ask("DELETE", "/v1/hive/workers/"+w.WorkerID, "")
	if code, _ := refusal(answer); status != http.StatusInternalServerError || code != client.CodeNotStopped || !strings.Contains(answer, fmt.Sprintf("kill %d)", keeper)) {
		t.Errorf("%d %s, want that pid %d has it", status, answer, keeper)
	}
	if err := os.RemoveAll(base + ".sock"); err != nil {
		t.Error(err)
	}
	b.kill(keeper)
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil || !isGone(w.PID) {
		t.Errorf("stopped once its keeper was gone: %v", err)
	}
}
