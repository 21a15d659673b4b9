package program_test

import (
	"context"
	"crypto/tls"
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
	"github.com/rbee-launch/rbee-launch/internal/testca"
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
		ended <- program.Serve(ctx, slog.New(slog.DiscardHandler), ln, httpd.Access{}, func(ctx context.Context) error {
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

// A daemon believes its own certificate, though nobody vouches for it, and no other.
func TestOwnCertificateOnly(t *testing.T) {
	dir := t.TempDir()
	load := func(name string) *tls.Config {
		t.Helper()
		files := httpd.TLSFiles{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
		ca, err := testca.New(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := ca.Issue(files.Cert, files.Key, testca.Server, "box.example"); err != nil {
			t.Fatal(err)
		}
		cfg, _, err := files.Load(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	own, other := load("own"), load("other")
	ln, err := tls.Listen("tcp", "127.0.0.1:0", own)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	srv := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { served <- srv.Serve(ln) }()
	for _, test := range []struct {
		name   string
		server *tls.Config
		ok     bool
	}{{"its own", own, true}, {"another", other, false}} {
		conn, err := tls.Dial("tcp", ln.Addr().String(), program.OwnOnly(test.server))
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			conn.Close()
		}
	}
	srv.Close()
	<-served
}
