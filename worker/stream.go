package worker

import (
	"errors"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
)

// stream says p as server-sent events. A stream that is cut ends with an error
// event and an aborted connection: clients take a clean end for a whole answer,
// [DONE] or not.
func (w *Worker) stream(rw http.ResponseWriter, r *http.Request, f form, env envelope, p plan, withUsage bool) error {
	env.Object = f.streamObject
	ev := httpd.NewEvents(rw)
	err := w.streamAnswers(ev, r, f, env, p)
	if err == nil && withUsage {
		env.Choices, env.Usage = []choice{}, &p.usage
		err = ev.SendJSON("", env)
	}
	if err == nil {
		err = ev.Send("", "", []byte("[DONE]"))
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, errStopping) {
		_ = ev.Send("", "", openai.Event(err)) // at best: the connection is aborted anyway
	}
	panic(http.ErrAbortHandler)
}

func (w *Worker) streamAnswers(ev httpd.Events, r *http.Request, f form, env envelope, p plan) error {
	generated := w.metrics.tokens.WithLabelValues("generated")
	say := func(choices ...choice) error {
		env.Choices = choices
		return ev.SendJSON("", env)
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
