package httpd_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// pipes is a listener whose connections are in memory, so that time may be a bubble's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan struct{})} }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// piped runs h within a bubble. dial connects to it.
func piped(t *testing.T, opt httpd.ServeOptions, h http.HandlerFunc) (dial func() (net.Conn, *bufio.Reader)) {
	ln := newPipes()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpd.Serve(ctx, ln, h, opt) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func() (net.Conn, *bufio.Reader) {
		here, there := net.Pipe()
		ln.conns <- there
		t.Cleanup(func() { here.Close() })
		return here, bufio.NewReader(here)
	}
}

const tenBytes = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func answered(t *testing.T, r *bufio.Reader, status int) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != status {
		t.Errorf("it is answered with %s, %v", resp.Status, err)
	}
}

func TestTheRestOfABodyIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := piped(t, httpd.ServeOptions{Read: time.Hour}, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
		})
		conn, r := dial()
		send(t, conn, tenBytes+"12345")
		time.Sleep(4 * time.Second) // it was on its way, and the connection is of use for another
		send(t, conn, "67890")
		answered(t, r, http.StatusUnauthorized)
		began := time.Now()
		send(t, conn, tenBytes+"12345")
		answered(t, r, http.StatusUnauthorized)
		if _, err := r.ReadByte(); err != io.EOF || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

func TestABodyHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial := piped(t, httpd.ServeOptions{}, func(w http.ResponseWriter, r *http.Request) {
			if _, err := httpd.ReadBody(w, r, 10); err != nil {
				httpd.WriteProblem(w, err)
				return
			}
			time.Sleep(time.Hour)
			if r.Context().Err() != nil {
				t.Error("the time for the body ends the request")
			}
		})
		conn, r := dial()
		for range 2 {
			send(t, conn, tenBytes+"12345")
			time.Sleep(29 * time.Second)
			send(t, conn, "67890")
			answered(t, r, http.StatusOK)
		}
		began := time.Now()
		send(t, conn, tenBytes+"12345")
		answered(t, r, http.StatusRequestTimeout)
		if _, err := r.ReadByte(); err != io.EOF || time.Since(began) != 30*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
