package launch_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// An upgrade cuts off those who are in the midst of a question: they ask again.
func TestStopWhileReplaced(t *testing.T) {
	for _, last := range []string{"/v1/launch/stop", "/v1/launch/events"} { // what the first launcher gets to hear
		var replaced atomic.Bool
		dir := standIn(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == last && !replaced.Swap(true) {
				_ = http.NewResponseController(w).Flush() // else the client asks again by itself
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/v1/launch/events" {
				_, _ = w.Write([]byte(`{"event":"ended"}`))
			}
		})
		if err := launch.Stop(t.Context(), dir, "x", launch.StopOptions{}, nil); err != nil || !replaced.Load() {
			t.Errorf("a stop that loses its launcher at %s: %v", last, err)
		}
	}
}

// standIn makes a launch x in a runtime directory that it returns, whose launcher is this
// process, as far as others can tell.
func standIn(t *testing.T, answer http.HandlerFunc) (runtimeDir string) {
	t.Helper()
	runtimeDir = t.TempDir()
	base := filepath.Join(runtimeDir, "launches", "x")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Mkdir(filepath.Dir(base), 0o700))
	lock, err := os.Create(base + ".lock")
	check(err)
	t.Cleanup(func() { _ = lock.Close() })
	check(syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	state, err := json.Marshal(map[string]any{"id": "x", "boot_id": guard.Boot(), "launcher": guard.Self()})
	check(err)
	check(os.WriteFile(base+".json", state, 0o600))
	ln, err := net.Listen("unix", base+".sock")
	check(err)
	srv := httptest.NewUnstartedServer(answer)
	check(srv.Listener.Close())
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	return runtimeDir
}
