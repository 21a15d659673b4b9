package httpd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

func TestListenNamesTheHolder(t *testing.T) {
	first, err := httpd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := httpd.Listen(t.Context(), first.Addr().String())
	if err == nil {
		_ = second.Close()
		t.Fatal("two listen on one port")
	}
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Errorf("%v", err)
	}
}

// served runs Serve with a handler that answers once it may.
type served struct {
	ln     net.Listener
	asked  chan struct{}
	answer chan struct{}
	stop   context.CancelFunc
	hurry  chan struct{}
	ended  chan error
}

func serve(t *testing.T, drain time.Duration) served {
	t.Helper()
	ln, err := httpd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s := served{ln: ln, asked: make(chan struct{}), answer: make(chan struct{}), stop: stop, hurry: make(chan struct{}), ended: make(chan error, 1)}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(s.asked)
		select {
		case <-s.answer:
			_, _ = io.WriteString(w, "whole") // the client's test looks at it
		case <-r.Context().Done():
		}
	})
	go func() { s.ended <- httpd.Serve(ctx, ln, h, httpd.ServeOptions{Drain: drain, Hurry: s.hurry}) }()
	return s
}

func (s served) get() (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + s.ln.Addr().String())
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestServeLetsRequestsFinish(t *testing.T) {
	s := serve(t, time.Minute)
	answered := make(chan error, 1)
	go func() {
		body, err := s.get()
		if err == nil && body != "whole" {
			err = fmt.Errorf("the answer is %q", body)
		}
		answered <- err
	}()
	<-s.asked
	s.stop()
	// The listener is closed before the request is over.
	for {
		conn, err := net.Dial("tcp", s.ln.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(s.answer)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
}

func TestServeCutsLaggards(t *testing.T) {
	s := serve(t, time.Millisecond)
	answered := make(chan error, 1)
	go func() {
		_, err := s.get()
		answered <- err
	}()
	<-s.asked
	s.stop()
	if err := <-answered; err == nil {
		t.Error("a request that was cut looks whole")
	}
	if err := <-s.ended; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
}

// A hurry cuts what the drain would have waited for: a request, and a client that has
// not sent any.
func TestServeHurries(t *testing.T) {
	s := serve(t, time.Hour)
	conn, err := net.Dial("tcp", s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answered := make(chan error, 1)
	go func() {
		_, err := s.get()
		answered <- err
	}()
	<-s.asked
	s.stop()
	close(s.hurry)
	if err := <-answered; err == nil {
		t.Error("a request that was cut looks whole")
	}
	if err := <-s.ended; err != nil {
		t.Errorf("a stop is no error: %v", err)
	}
}
