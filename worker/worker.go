package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
)

// errStopping is the cause with which answers that outlast the drain are cut,
// and what their clients are told.
var errStopping error = httpd.Errorf(http.StatusServiceUnavailable, "stopping", "the worker is stopping: the answer is cut")

// Worker is one simulated model server. Make it with New; Run it once.
type Worker struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	phase   atomic.Int32 // a phase
	percent atomic.Int32 // of the model "loaded"
	asked   atomic.Int64 // requests that count for Faults
	crashes chan error   // the first one ends Run
	crashed atomic.Bool  // a crash says no farewells
}

// phase is how far a worker has come.
type phase int32

const (
	loading phase = iota
	ready
	failing // still answering, but no longer healthy
)

// New makes a worker that loads, answers and registers once Run is called.
func New(cfg Config) *Worker {
	cfg = cfg.withDefaults()
	w := &Worker{cfg: cfg, log: cfg.Log, crashes: make(chan error, 1)}
	w.metrics = newMetrics(w)
	return w
}

// Handler is the worker's routes, without the check of who may call. It answers
// as loading until Run has loaded the model.
func (w *Worker) Handler() http.Handler {
	return openai.Space{}.Handler(
		httpd.Routes(w.log, openapi.With(info(w.modelRoutes()), w.routes())),
		httpd.RoutesAs(w.log, openai.WriteError, w.modelRoutes()),
	)
}

func (w *Worker) routes() []httpd.Route {
	return []httpd.Route{
		{Method: "GET", Path: "/health", Handler: w.health, Doc: healthDoc()},
		{Method: "GET", Path: "/capabilities", Handler: w.capabilities, Doc: capabilitiesDoc()},
		{Method: "GET", Path: "/metrics", Handler: w.metrics.serve, Doc: scrape.Doc()},
	}
}

// modelRoutes are those of the OpenAI protocol.
func (w *Worker) modelRoutes() []httpd.Route {
	return []httpd.Route{
		{Method: "GET", Path: "/v1/models", Handler: w.loaded(w.models), Doc: modelsDoc()},
		{Method: "GET", Path: "/v1/models/{id...}", Handler: w.loaded(w.model), Doc: modelDoc()},
		{Method: "POST", Path: "/v1/chat/completions", Handler: w.inference("chat", w.chat), Doc: generationDoc("Chat", chatRequest{})},
		{Method: "POST", Path: "/v1/completions", Handler: w.inference("completions", w.complete), Doc: generationDoc("Complete texts", completionRequest{})},
		{Method: "POST", Path: "/v1/embeddings", Handler: w.inference("embeddings", w.embed), Doc: embeddingsDoc()},
	}
}

// Run answers on ln from the first moment on, "loads" the model, then registers
// where Config says, until ctx ends. Then it unregisters, lets running answers
// finish within Config.Drain, cuts the rest with an error event, and returns nil;
// Config.Hurry cuts them at once.
// It closes ln. A crash that Faults asked for returns ErrCrashed without any of
// these courtesies.
func (w *Worker) Run(ctx context.Context, ln net.Listener) error {
	w.log.Info("this is a simulation of a model server: it runs no model",
		"worker", w.cfg.id(ln.Addr()), "model", w.cfg.Model, "address", ln.Addr().String())
	news, hangUp, err := w.announcements(ln.Addr())
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	defer hangUp()
	clients := countClients(ln)
	background := context.WithoutCancel(ctx) // the end comes in steps, see below
	cut, cutOff := context.WithCancelCause(background)
	defer cutOff(nil)
	serving, stopServing := context.WithCancel(background)
	defer stopServing()
	served := make(chan error, 1)
	go func() {
		access := w.cfg.Access
		access.Refuse = openai.Space{}.Refuse
		access.Hosts = append([]string{w.cfg.Advertise}, access.Hosts...) // the name we gave out ourselves
		h := httpd.CutWith(cut, access.Wrap(w.Handler()))
		served <- httpd.Serve(serving, clients, h, httpd.ServeOptions{
			Log: w.log, TLS: access.TLS, Drain: w.cfg.Drain + time.Second, Hurry: w.cfg.Hurry, Read: cmp.Or(w.cfg.ReadTime, time.Minute),
		})
	}()

	life, end := context.WithCancel(ctx)
	defer end()
	var g errgroup.Group
	g.Go(func() error { w.live(life); return nil })
	for _, a := range news {
		g.Go(func() error { a.Run(life); return nil })
	}

	err, crash := w.until(ctx, served)
	end()
	_ = g.Wait() // unregistered: from here on nobody is sent to us
	if crash {
		cutOff(err)
	} else {
		if w.cfg.Faults.WaitForClients {
			w.log.Info("waiting for clients to disconnect, as asked for")
			clients.wait(w.cfg.Hurry)
		}
		drained := make(chan struct{})
		var cutting sync.WaitGroup
		cutting.Go(func() { w.cutLaggards(cutOff, drained) })
		defer cutting.Wait()
		defer close(drained)
	}
	stopServing()
	return errors.Join(err, <-served)
}

// cutLaggards ends the answers that outlast the drain, or the patience of who stops us.
func (w *Worker) cutLaggards(cutOff context.CancelCauseFunc, drained <-chan struct{}) {
	drain := time.NewTimer(w.cfg.Drain)
	defer drain.Stop()
	select {
	case <-drain.C:
	case <-w.cfg.Hurry:
	case <-drained:
		return
	}
	cutOff(errStopping)
}

// until waits for the first reason to end. What the server returned is put back
// for Run to join.
func (w *Worker) until(ctx context.Context, served chan error) (err error, crash bool) {
	var tooLate <-chan time.Time
	if w.cfg.Faults.CrashAfter > 0 {
		t := time.NewTimer(w.cfg.Faults.CrashAfter)
		defer t.Stop()
		tooLate = t.C
	}
	select {
	case <-ctx.Done():
		return nil, false
	case err := <-served:
		served <- err
		return nil, false
	case <-tooLate:
		err = fmt.Errorf("%w: %v after the start", ErrCrashed, w.cfg.Faults.CrashAfter)
	case err = <-w.crashes:
	}
	w.crashed.Store(true)
	w.log.Error("crashing, as asked for", "err", err)
	return err, true
}
