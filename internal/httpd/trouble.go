package httpd

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// The troubles of a server itself are logged here. What net/http logs is of its callers, who
// can make as much of it as they like, and stays at debug.

// refusedEvery is between two warnings that connections can't be accepted.
const refusedEvery = 10 * time.Second

// accepting is a listener that tells why it can't accept connections: net/http goes on trying,
// for as long as there are no file descriptors left, say.
type accepting struct {
	net.Listener
	log *slog.Logger

	mu     sync.Mutex
	told   time.Time
	failed int // since then
}

// Accept is net.Listener's.
func (a *accepting) Accept() (net.Conn, error) {
	conn, err := a.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		a.tell(err)
	}
	return conn, err
}

func (a *accepting) tell(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed++
	now := time.Now()
	if !a.told.IsZero() && now.Sub(a.told) < refusedEvery {
		return
	}
	a.log.Warn("no connection can be accepted: callers wait, or are refused", "err", err, "times", a.failed, "addr", a.Addr().String())
	a.told, a.failed = now, 0
}

// surviving logs the panic of a handler, which ends its request alone, and has net/http abort
// the connection.
func surviving(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause != http.ErrAbortHandler {
				log.Error("a handler panicked", "method", r.Method, "path", Brief(r.URL.Path), "panic", cause, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		h.ServeHTTP(w, r)
	})
}
