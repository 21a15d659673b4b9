package httpd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	psnet "github.com/shirou/gopsutil/v3/net"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

// Listen opens a TCP listener. When the port is taken the error names who has
// it, as far as the system tells this user.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err == nil {
		return ln, nil
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		if who := holder(ctx, addr); who != "" {
			return nil, fmt.Errorf("listen on %s: taken by %s: %w", addr, who, err)
		}
	}
	return nil, fmt.Errorf("listen on %s: %w", addr, err)
}

// holder names the process that listens on addr's port: "redis-server (pid 42)".
func holder(ctx context.Context, addr string) string {
	_, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return ""
	}
	return sockdiag.Listener(ctx, func(c psnet.ConnectionStat) bool { return c.Laddr.Port == uint32(port) })
}

// ServeOptions are the limits of one server. The zero value is useful.
type ServeOptions struct {
	Log   *slog.Logger  // what goes wrong with the server itself; net/http's own when nil
	TLS   *tls.Config   // to speak TLS with; plain HTTP when nil
	Drain time.Duration // how long running requests may take at the end; 5 s when zero
	// Header is how long a client may take to send a request's header; 10 s when zero.
	Header time.Duration
	// Read is how long a client may take to send a request's body, 30 s when zero, and at most
	// 5 s of it once the request is answered. A handler may set another deadline, with an
	// http.ResponseController, before it reads.
	Read time.Duration
	// Write is how long the answer may take to reach the client; for ever when zero. A handler
	// that streams sets deadlines of its own.
	Write time.Duration
	// Hurry, when closed, leaves them a quarter of a second; may be nil.
	Hurry <-chan struct{}
}

// lastWords is the time to tell a client in a hurry that it is cut.
const lastWords = 250 * time.Millisecond

// Serve answers on ln until ctx ends, then lets running requests finish within
// the drain time and cuts the rest. It closes ln. A stop by ctx is no error.
//
// The time to write is unbounded unless asked for, since that cuts streams
// (golang/go#16100).
func Serve(ctx context.Context, ln net.Listener, h http.Handler, opt ServeOptions) error {
	read := cmp.Or(opt.Read, 30*time.Second)
	srv := &http.Server{
		Handler:           bounded(h, read, min(read, lingering)),
		ReadHeaderTimeout: cmp.Or(opt.Header, 10*time.Second),
		WriteTimeout:      opt.Write,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	if opt.Log != nil {
		srv.Handler = surviving(opt.Log, srv.Handler)
		ln = &accepting{Listener: ln, log: opt.Log}
		srv.ErrorLog = slog.NewLogLogger(opt.Log.Handler(), slog.LevelDebug)
	}
	if opt.TLS != nil {
		ln = tls.NewListener(ln, opt.TLS)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(opt.Drain, 5*time.Second))
	defer cancel()
	stop := shorten(end, cancel, opt.Hurry)
	defer stop()
	if err := srv.Shutdown(end); err != nil {
		_ = srv.Close() // the laggards had their time
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// CutWith gives every request a context that also ends, with its cause, when cut does: for
// handlers that say something before Serve cuts them.
func CutWith(cut context.Context, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(cut, func() { cancel(context.Cause(cut)) })()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// shorten ends a drain soon after a hurry has come. The caller calls stop.
func shorten(end context.Context, cancel context.CancelFunc, hurry <-chan struct{}) (stop func()) {
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-hurry:
			last := time.NewTimer(lastWords)
			defer last.Stop()
			select {
			case <-last.C:
				cancel()
			case <-end.Done():
			}
		case <-end.Done():
		}
	})
	return func() { cancel(); waiting.Wait() }
}
