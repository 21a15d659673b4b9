package httpd_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// crowded is a listener of a process without a file descriptor to spare, until a moment.
type crowded struct {
	pipes
	until time.Time
}

func (c crowded) Accept() (net.Conn, error) {
	if time.Now().Before(c.until) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return c.pipes.Accept()
}

func TestWhatKeepsCallersOutIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		ln := crowded{newPipes(), time.Now().Add(25 * time.Second)}
		go func() {
			ended <- httpd.Serve(ctx, ln, http.NotFoundHandler(), httpd.ServeOptions{Log: slog.New(slog.NewTextHandler(&text, nil))})
		}()
		time.Sleep(time.Minute)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		if len(lines) != 3 || !containsAll(lines[0], "level=WARN", "too many open files", "times=1 ") || !strings.Contains(lines[1], "times=1") ||
			strings.Contains(lines[1], "times=1 ") {
			t.Errorf("the log has %d lines: %s", len(lines), text.String())
		}
	})
}

func containsAll(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func TestAPanicIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		cause := any("a defect")
		dial := piped(t, httpd.ServeOptions{Log: slog.New(slog.NewTextHandler(&text, nil))}, func(http.ResponseWriter, *http.Request) { panic(cause) })
		for _, cause = range []any{"a defect", http.ErrAbortHandler} {
			conn, r := dial()
			send(t, conn, "GET /where HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if _, err := r.ReadByte(); err != io.EOF {
				t.Errorf("after a panic: %v", err)
			}
		}
		if log := text.String(); strings.Count(log, "\n") != 1 || !containsAll(log, "level=ERROR", "a defect", "path=/where", "trouble_test.go") {
			t.Errorf("the log is %s", log)
		}
	})
}
