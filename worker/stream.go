package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/openai"
)

// writeTimeout is how long one event may take to be taken: a client that stops
// reading does not hold a worker forever.
const writeTimeout = 30 * time.Second

// stream says p as server-sent events. A stream that is cut ends with an error
// event and an aborted connection: clients take a clean end for a whole answer,
// [DONE] or not.
func (w *Worker) stream(rw http.ResponseWriter, r *http.Request, f form, env envelope, p plan, withUsage bool) error {
	env.Object = f.streamObject
	ev := newEvents(rw)
	err := w.streamAnswers(ev, r, f, env, p)
	if err == nil && withUsage {
		env.Choices, env.Usage = []choice{}, &p.usage
		err = ev.send(env)
	}
	if err == nil {
		err = ev.raw([]byte("[DONE]"))
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, errStopping) {
		_ = ev.raw(openai.Event(err)) // at best: the connection is aborted anyway
	}
	panic(http.ErrAbortHandler)
}

func (w *Worker) streamAnswers(ev events, r *http.Request, f form, env envelope, p plan) error {
	generated := w.metrics.tokens.WithLabelValues("generated")
	say := func(choices ...choice) error {
		env.Choices = choices
		return ev.send(env)
	}
	for i, a := range p.answers {
		if opening := f.opening(i); opening != nil {
			if err := say(opening...); err != nil {
				return err
			}
		}
		err := pace(r.Context(), a.tokens, w.cfg.TokensPerSecond, func(token string) error {
			generated.Inc()
			return say(f.piece(i, token))
		})
		if err != nil {
			return err
		}
		if err := say(f.closing(i, a.finish)); err != nil {
			return err
		}
	}
	return nil
}

// events writes server-sent events, each out at once.
type events struct {
	w    http.ResponseWriter
	ctrl *http.ResponseController
}

func newEvents(w http.ResponseWriter) events {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	return events{w: w, ctrl: http.NewResponseController(w)}
}

func (e events) send(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.raw(body)
}

func (e events) raw(data []byte) error {
	_ = e.ctrl.SetWriteDeadline(time.Now().Add(writeTimeout)) // a writer without deadlines has no client that stalls
	if _, err := fmt.Fprintf(e.w, "data: %s\n\n", data); err != nil {
		return err
	}
	return e.ctrl.Flush()
}
