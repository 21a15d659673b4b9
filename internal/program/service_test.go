package program_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/program"
)

// The watchdog of a daemon is fed by its answers: one that runs, and no longer answers,
// starves it.
func TestWatchdogNeedsAnswers(t *testing.T) {
	const window = 200 * time.Millisecond
	dir, err := os.MkdirTemp("", "rbee") // a path short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "200000")
	hears := func(text string, within time.Duration) bool {
		_ = manager.SetReadDeadline(time.Now().Add(within))
		for buf := make([]byte, 4096); ; {
			n, err := manager.Read(buf)
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

	var hangs atomic.Bool
	asked := make(chan struct{}, 1)
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			asked <- struct{}{}
			<-r.Context().Done() // until the asker has gone
		}
	})
	ln, err := httpd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- program.Serve(ctx, slog.New(slog.DiscardHandler), ln, "", func(ctx context.Context) error {
			return httpd.Serve(ctx, ln, handler, httpd.ServeOptions{})
		})
	}()
	if !hears("READY=1", time.Minute) || !hears("WATCHDOG=1", time.Minute) {
		t.Fatal("it is not ready, or feeds no watchdog")
	}
	hangs.Store(true)
	<-asked
	for hears("", time.Millisecond) { // what it said before it hung
	}
	if hears("WATCHDOG=1", 2*window) {
		t.Error("it feeds its watchdog, and answers nobody")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !hears("STOPPING=1", time.Minute) {
		t.Error("it did not say that it stops")
	}
}
