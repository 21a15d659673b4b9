package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
)

// inference counts a request to the model, makes the faults that were asked for,
// and sees to it that an answer which can't be finished is not taken for whole.
func (w *Worker) inference(endpoint string, h httpd.Handler) httpd.Handler {
	return w.loaded(func(rw http.ResponseWriter, r *http.Request) (err error) {
		w.metrics.running.Inc()
		result := "aborted" // unless the handler returns
		defer func() {
			w.metrics.running.Dec()
			w.metrics.requests.WithLabelValues(endpoint, result).Inc()
		}()
		if err = w.fault(); err == nil {
			err = h(rw, r)
		}
		switch {
		case err == nil:
			result = strconv.Itoa(http.StatusOK)
		case errors.Is(err, ErrCrashed), errors.Is(err, context.Canceled):
			panic(http.ErrAbortHandler) // a crash, or a client that hung up: there is nothing more to say
		default:
			result = strconv.Itoa(openai.Status(err))
		}
		return err
	})
}

// fault makes the fault, if any, of this request.
func (w *Worker) fault() error {
	n := w.asked.Add(1)
	if w.crashed.Load() {
		return ErrCrashed // the dead don't answer, though their socket is there for an instant more
	}
	switch n {
	case int64(w.cfg.Faults.CrashOn):
		err := fmt.Errorf("%w: on request %d", ErrCrashed, n)
		w.crash(err)
		return err
	case int64(w.cfg.Faults.FailOn):
		w.log.Error("failing a request, as asked for", "request", n)
		return httpd.Errorf(http.StatusInternalServerError, "simulated_failure", "request %d fails, as asked for", n)
	}
	return nil
}

// crash ends Run with err.
func (w *Worker) crash(err error) {
	w.crashed.Store(true)
	select {
	case w.crashes <- err:
	default: // it is crashing already
	}
}

func (w *Worker) chat(rw http.ResponseWriter, r *http.Request) error {
	return w.answer(rw, r, chatForm, (*generation).chatPrompt)
}

func (w *Worker) complete(rw http.ResponseWriter, r *http.Request) error {
	return w.answer(rw, r, completionForm, (*generation).completionPrompts)
}

// answer says what there is to say to a request, at the worker's pace, as a
// whole or as a stream.
func (w *Worker) answer(rw http.ResponseWriter, r *http.Request, f form, asked func(*generation) ([]prompt, error)) error {
	var req generation
	if err := req.read(w, rw, r); err != nil {
		return err
	}
	prompts, err := asked(&req)
	if err != nil {
		return err
	}
	p, err := planned(prompts, req.limit(), w.cfg.ContextLength)
	if err != nil {
		return err
	}
	w.metrics.tokens.WithLabelValues("prompt").Add(float64(p.usage.PromptTokens))
	env := newEnvelope(f, w.cfg.Model)
	if req.Stream {
		return w.stream(rw, r, f, env, p, req.StreamOptions.IncludeUsage)
	}
	generated := w.metrics.tokens.WithLabelValues("generated")
	for i, a := range p.answers {
		err := pace(r.Context(), a.tokens, w.cfg.TokensPerSecond, func(string) error { generated.Inc(); return nil })
		if err != nil {
			return err
		}
		env.Choices = append(env.Choices, f.whole(i, a))
	}
	env.Usage = &p.usage
	return httpd.WriteJSON(rw, http.StatusOK, env)
}
