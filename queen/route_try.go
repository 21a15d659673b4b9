package queen

import (
	"context"
	"errors"
	"fmt"
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
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	out, err := q.onward(traced, r, t.to, body, model)
	if err != nil {
		return 0, err
	}
	resp, err := q.transport.RoundTrip(out)
	if err != nil {
		return 0, t.judge(ctx, r, registry.Untrusted(err), !connected.Load() || dialing(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusLoopDetected { // whoever says that has asked nobody else, or nobody who did it
		return 0, t.judge(ctx, r, errLoop, true)
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return 0, httpd.Errorf(http.StatusBadGateway, codeFailed, "%s answers with %s, which is not followed", t.to.id, resp.Status)
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
	return httpd.Errorf(http.StatusBadGateway, codeFailed, "%s broke off: %v", t.to.id, err)
}

// dialing reports whether there never was a connection. One that was kept from before
// and turns out to be closed is replaced by net/http itself, if nothing was written to it.
func dialing(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
