package queen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// try is a request that is with one worker.
type try struct {
	q     *Queen
	to    target
	held  *load
	began time.Time
	// patience, when it runs out, gives the worker up. It runs while we wait for the
	// worker, not while the client takes what came.
	patience *time.Timer
}

// unreachable is a try of which no byte has left for a worker that would do it: another may
// be asked.
type unreachable struct {
	at    target
	cause error
}

func (u *unreachable) Error() string { return fmt.Sprintf("%s at %s: %v", u.at.id, u.at.url, u.cause) }

func (u *unreachable) Unwrap() error { return u.cause }

// try asks one of the workers and passes its answer on, whose status it returns.
func (q *Queen) try(w http.ResponseWriter, r *http.Request, able []target, body []byte, model string, firstByte func(seconds float64)) (int, error) {
	t := try{q: q, began: time.Now()}
	t.to, t.held = q.loads.take(t.began, able)
	defer func() { q.loads.release(time.Now(), t.to.url, t.held) }()

	ctx, giveUp := context.WithCancelCause(r.Context()) // the worker's request ends with the client's
	defer giveUp(nil)
	t.patience = time.AfterFunc(q.cfg.Limits.FirstByte, func() { giveUp(errSlow) })
	defer t.patience.Stop()
	seen := t.lookFor(func() { giveUp(errLeft) })
	defer seen.stop()
	var connected, answering atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { connected.Store(true); answering.Store(false) },
		GotFirstResponseByte: func() { answering.Store(true) },
	})
	out, err := q.onward(traced, r, t.to, body, model)
	if err != nil {
		return 0, err
	}
	resp, err := q.transport.RoundTrip(out)
	if err != nil {
		if err = registry.Untrusted(err); answering.Load() {
			err = garbled(err)
		}
		return 0, t.judge(ctx, r, err, !connected.Load() || dialing(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusLoopDetected { // whoever says that has asked nobody else, or nobody who did it
		return 0, t.judge(ctx, r, errLoop, true)
	}
	switch class := resp.StatusCode / 100; class {
	case 2, 4, 5:
	case 3:
		return 0, httpd.Errorf(http.StatusBadGateway, codeFailed, "%s answers with %s, which is not followed", t.to.id, resp.Status)
	default:
		return 0, httpd.Errorf(http.StatusBadGateway, codeFailed, "%s answers with %d, which is no status", t.to.id, resp.StatusCode)
	}
	observe := func() { seen.stop(); firstByte(time.Since(t.began).Seconds()) }
	return resp.StatusCode, t.pass(w, resp, observe, func(err error) error { return t.judge(ctx, r, err, false) })
}

// judge says why a try came to nothing, and has the worker passed over for a moment
// where that broke off. A client that hangs up is no fault of the worker's.
func (t try) judge(ctx context.Context, r *http.Request, err error, unsent bool) error {
	switch {
	case errors.Is(context.Cause(r.Context()), errStopping):
		return errStopping
	case r.Context().Err() != nil:
		return errGone
	case errors.Is(context.Cause(ctx), errSlow):
		return httpd.Errorf(http.StatusGatewayTimeout, codeSlow, "%s was silent for too long", t.to.id)
	case errors.Is(context.Cause(ctx), errLeft):
		err = fmt.Errorf("nobody has known it for %s, and it has not begun to answer", t.q.cfg.OfflineAfter)
	}
	if t.q.loads.failed(time.Now(), t.held) {
		t.q.log.Warn("a request failed at a worker", "worker", t.to.id, "begun", !unsent, "err", err, "request", r.Header.Get(requestID))
	}
	if unsent {
		return &unreachable{t.to, err}
	}
	var g *garbage
	if errors.As(err, &g) {
		return httpd.Errorf(http.StatusBadGateway, codeFailed, "%s: %v", t.to.id, g)
	}
	return httpd.Errorf(http.StatusBadGateway, codeFailed, "%s broke off: %v", t.to.id, err)
}

// garbage is an answer of which net/http can't make anything.
type garbage struct{ cause error }

func (g *garbage) Error() string { return "its answer is no HTTP: " + httpd.Brief(g.cause.Error()) }

func (g *garbage) Unwrap() error { return g.cause }

// garbled is what is the matter with an answer that has begun and came to nothing: its
// connection, or else its words. net/http's own are left out.
func garbled(err error) error {
	var of net.Error
	switch {
	case errors.As(err, &of):
		return of
	case errors.Is(err, context.Canceled):
		return err
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return err
	}
	return &garbage{err}
}

// dialing reports whether there never was a connection. One that was kept from before
// and turns out to be closed is replaced by net/http itself, if nothing was written to it.
func dialing(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
