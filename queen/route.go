package queen

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/dial"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// The codes of her own refusals, besides those that every server has.
const (
	codeModelNeeded = "model_needed"
	codeNoModel     = "model_not_found"
	codeNoneOnline  = "no_worker_online"
	codeUnreachable = "workers_unreachable"
	codeFailed      = "worker_failed"
	codeSlow        = "worker_too_slow"
	codeLoop        = "loop_detected"
	codeStopping    = "stopping"
)

var (
	// errGone: the client hung up, and there is nobody to answer.
	errGone = errors.New("the client hung up")
	// errCut: the answer has begun, and can't be finished.
	errCut = errors.New("the answer was cut")
	// errSlow is the cause with which a worker is given up.
	errSlow = errors.New("no patience is left")
	// errLeft is the cause with which one is given up that nobody knows any more.
	errLeft = errors.New("it is gone")
	// errStopping is the cause with which requests that outlast the drain are cut, and
	// what their clients are told.
	errStopping error = httpd.Errorf(http.StatusServiceUnavailable, codeStopping, "the queen is stopping: the answer is cut")
)

// upstream is how workers are asked: at the address that they told and nowhere else, with
// no proxy in between, and without this side's own ideas of compression.
func upstream(l Limits, trust *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:            dial.Dialer{Connect: l.Connect}.DialContext,
		TLSClientConfig:        trust.Clone(), // a Transport writes to its own; nil stays nil
		TLSHandshakeTimeout:    l.Connect,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        3 * time.Second, // workers close theirs after 5 s, and one that is just being closed fails
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// routing sends requests to a worker that serves the model they name.
func (q *Queen) routing(endpoint string) httpd.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		m := q.metrics
		m.running.Inc()
		result := "aborted" // unless we come to its end
		defer func() {
			m.running.Dec()
			m.requests.WithLabelValues(endpoint, result).Inc()
		}()
		w.Header().Set(requestID, named(r))
		status, err := q.forward(w, r, m.firstByte.WithLabelValues(endpoint).Observe)
		switch {
		case errors.Is(err, errGone):
			result = "cancelled"
		case !errors.Is(err, errCut):
			result = resultOf(status, err)
		}
		if errors.Is(err, errGone) || errors.Is(err, errCut) {
			panic(http.ErrAbortHandler) // a clean end would pass for a whole answer
		}
		return err
	}
}

// forward asks workers until one answers. None is asked twice, and none at all once a
// byte of the request has left for another. The status is that of the answer passed on.
func (q *Queen) forward(w http.ResponseWriter, r *http.Request, firstByte func(seconds float64)) (status int, err error) {
	body, model, err := q.readPrompt(w, r)
	if err != nil {
		return 0, err
	}
	if wentThrough(r.Header, q.pseudonym) { // the body is read: an answer before that costs the connection
		return 0, looped("the request has come through this queen already: some worker's address leads back to her")
	}
	able, err := q.serving(r.Context(), model)
	if err != nil {
		return 0, err
	}
	var failed []string
	loops := 0
	for len(able) > 0 {
		var away *unreachable
		status, err = q.try(w, r, able, body, model, firstByte)
		if !errors.As(err, &away) {
			return status, err
		}
		q.metrics.unreachable.Inc()
		failed = append(failed, away.Error())
		if errors.Is(err, errLoop) {
			loops++
		}
		able = without(able, away.at.url)
	}
	if loops == len(failed) {
		return 0, looped("no worker serves %q: %s", httpd.Brief(model), strings.Join(failed, "; "))
	}
	return 0, httpd.Errorf(http.StatusBadGateway, codeUnreachable, "no worker that serves %q can be reached: %s", httpd.Brief(model), strings.Join(failed, "; "))
}

func without(able []target, url string) (rest []target) {
	for _, w := range able {
		if w.url != url {
			rest = append(rest, w)
		}
	}
	return rest
}
