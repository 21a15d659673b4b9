package hive

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
)

// start runs one spawn: a keeper, until its worker is ready or has failed.
func (h *Hive) start(ctx context.Context, op *operation.Running, job Job) {
	program := h.cfg.Keeper(job.text())
	keeper, err := sidecar.Start(sidecar.Command{Path: program.Path, Argv: program.Argv, Env: onDevice(job.Request.Device)})
	if err != nil {
		h.failed(op, &client.Failure{Detail: err.Error()})
		return
	}
	defer keeper.Leave()
	s := h.newSpawning(op)
	s.kept = true
	cancelled := op.Cancelled()
	for {
		select {
		case m, more := <-keeper.Messages():
			switch {
			case !more && s.worker == "":
				h.failed(op, s.failure("the worker's keeper died before the worker had a port"))
				return
			case !more: // the keeper was killed, or goes on as another version of itself
				s.kept = false
				h.resume(ctx, s)
				return
			case m.End != nil:
				h.failed(op, s.failure(m.End.Text))
				return
			case m.Log != "":
				h.log.Info("a keeper says", "operation", job.Operation, "text", strings.TrimSpace(m.Log))
			case m.Event != nil:
				s.event(*m.Event)
			}
		case <-s.ready:
			if h.succeeded(s) {
				return
			}
			s.ready = time.After(h.cfg.Tend)
		case <-cancelled:
			cancelled, s.ready = nil, nil
			keeper.Stop()
		case <-ctx.Done():
			return // the next life of this hive finds it
		}
	}
}

// resume goes on with a start that no keeper tells of: the launch itself is asked, which
// may have been begun by an earlier life of this hive, or have got another keeper.
func (h *Hive) resume(ctx context.Context, s *spawning) {
	over := make(chan struct{})
	var cancelling sync.WaitGroup
	cancelling.Go(func() {
		select {
		case <-s.op.Cancelled():
			h.cancel(ctx, s, over)
		case <-over:
		}
	})
	defer cancelling.Wait()
	defer close(over)
	var since time.Time // when nothing was found any more
	for {
		err := h.listen(ctx, s)
		if since = cmp.Or(since, time.Now()); !errors.Is(err, launch.ErrNotThere) {
			since = time.Time{}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && s.ready == nil:
			h.failed(s.op, s.failure(""))
			return
		case err == nil, s.ready != nil && !between(err):
			h.settle(ctx, s)
			return
		case between(err):
			// It gets a keeper (tending), or has one that begins to answer.
		case since.IsZero() || time.Since(since) < h.patience():
			// Its record can be read again soon, or is made anew.
		default:
			h.failed(s.op, s.failure("the worker and its keeper were killed before it was ready: "+err.Error()))
			return
		}
		select {
		case <-s.ready:
			h.settle(ctx, s)
			return
		case <-time.After(h.cfg.Tend):
		case <-ctx.Done():
		}
	}
}

// settle ends the operation of a worker that is ready.
func (h *Hive) settle(ctx context.Context, s *spawning) {
	for !h.succeeded(s) {
		select {
		case <-time.After(h.cfg.Tend):
		case <-ctx.Done():
			return
		}
	}
}

// cancel stops the launch of a start, which its record may not show for a moment.
func (h *Hive) cancel(ctx context.Context, s *spawning, over <-chan struct{}) {
	known, closer := h.registrars()
	defer closer()
	for {
		id := s.op.Operation().WorkerID // which another port may have changed
		err := launch.Stop(ctx, h.cfg.RuntimeDir, id, launch.StopOptions{Registrars: known}, nil)
		if !errors.Is(err, launch.ErrNotThere) {
			if err != nil {
				h.log.Warn("a start can't be cancelled", "worker", id, "err", err)
			}
			return
		}
		select {
		case <-time.After(h.cfg.Tend):
		case <-over:
			return
		}
	}
}

// patience is how long a launch may not be found whose record its keeper makes anew.
func (h *Hive) patience() time.Duration { return 5 * h.cfg.Tend }

// between reports whether a launch has no keeper that answers, and may get one.
func between(err error) bool {
	var orphaned *launch.OrphanedError
	var hung *launch.HungError // its keeper is dead, and not reaped yet
	return errors.As(err, &orphaned) || errors.As(err, &hung) || errors.Is(err, launch.ErrReplaced)
}

// listen takes what a launch tells until its worker is ready and registered, as an ordinary
// start does, or the launch has ended: then s.ready is nil. An error means that its keeper
// has no more to say.
func (h *Hive) listen(ctx context.Context, s *spawning) error {
	r, err := launch.Open(h.cfg.RuntimeDir, s.worker)
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, enough := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer enough()
	type told struct {
		launch.Event
		err error
	}
	events := make(chan told)
	reading.Go(func() {
		defer close(events)
		for e, err := range r.Events(ctx, false) {
			select {
			case events <- told{e, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	cancelled := s.op.Cancelled()
	for {
		select {
		case e, more := <-events:
			switch {
			case !more:
				return ctx.Err()
			case e.err != nil:
				return e.err
			case e.Event.Event == launch.Ended:
				if s.last == nil {
					s.last = &client.Failure{Detail: e.Error, ExitCode: e.ExitCode, LastLines: e.LastLines}
				}
				s.ready = nil
				return nil
			}
			s.event(e.Event)
		case <-s.ready:
			return nil
		case <-cancelled:
			cancelled, s.ready = nil, nil
		}
	}
}

// spawning is how far one spawn has come.
type spawning struct {
	hive   *Hive
	op     *operation.Running
	worker string // its id, once it has one
	last   *client.Failure
	with   map[string]bool  // where it is registered
	ready  <-chan time.Time // ends the wait for that, once the worker is ready
	told   launch.Launch    // what its launch has said of it
	kept   bool             // its keeper would say if it ended
	sought time.Time        // since when it is ready and can't be found
}

func (h *Hive) newSpawning(op *operation.Running) *spawning {
	return &spawning{hive: h, op: op, with: map[string]bool{}}
}

// cancelled reports whether nobody wants the worker any more.
func (s *spawning) cancelled() bool {
	select {
	case <-s.op.Cancelled():
		return true
	default:
		return false
	}
}

// event takes over what the launch says.
func (s *spawning) event(e launch.Event) {
	text, err := json.Marshal(e)
	if err != nil {
		s.hive.log.Error("an event can't be told", "event", e.Event, "err", err)
		return
	}
	out := client.Event{Name: string(e.Event), Data: text}
	if e.Event == launch.Progress {
		s.op.Pass(out)
		return
	}
	s.op.Tell(out)
	switch e.Event {
	case launch.Leased:
		s.worker = e.ID
		s.op.Set(func(o *client.Operation) { o.WorkerID, o.InstanceID = e.ID, e.InstanceID })
	case launch.Spawned: // once more: each attempt is another life
		s.told.StartedAt = e.Time
		s.op.Set(func(o *client.Operation) { o.InstanceID = e.InstanceID })
	case launch.Ready:
		s.told.ID, s.told.InstanceID, s.told.PID, s.told.Port, s.told.Status = e.ID, e.InstanceID, e.PID, e.Port, launch.IsReady
		s.sought = time.Time{}
		s.last, s.ready = nil, time.After(time.Until(e.Time.Add(s.hive.cfg.Registering))) // that of an earlier one is over
	case launch.Registered:
		s.with[e.With] = true
	case launch.Exited, launch.Failed:
		s.last = &client.Failure{Detail: e.Error, ExitCode: e.ExitCode, LastLines: e.LastLines}
		s.ready = nil
	}
	if s.cancelled() {
		s.ready = nil
	}
	if s.ready != nil && len(s.with) >= s.hive.places {
		now := make(chan time.Time, 1)
		now <- e.Time
		s.ready = now
	}
}

// failure is why there is no worker: what the launch said of it, else text.
func (s *spawning) failure(text string) *client.Failure {
	text = strings.TrimSpace(text)
	switch {
	case s.cancelled():
		return &client.Failure{Detail: "the operation was cancelled", Stopped: true}
	case s.last != nil && s.last.Detail != "":
		return s.last
	case text != "":
		return &client.Failure{Detail: text}
	default:
		return &client.Failure{Detail: "the worker was stopped before it was ready", Stopped: true}
	}
}

func (h *Hive) failed(op *operation.Running, why *client.Failure) {
	op.End(func(o *client.Operation) { o.Error = why })
	h.counts.spawns.WithLabelValues(string(client.Failed)).Inc()
	h.log.Warn("no worker came of it", "operation", op.Operation().ID, "err", why.Detail)
}

// succeeded ends the operation of a worker that is ready, as the runtime directory has it.
// One that is not found there, which is false, is to be looked for again: the list may be
// unreadable for a moment, or the record be made anew. After a while it is taken as its
// launch has told of it, unless that may have ended.
func (h *Hive) succeeded(s *spawning) bool {
	w, err := h.find(s.worker)
	if err != nil {
		s.sought = cmp.Or(s.sought, time.Now())
		if time.Since(s.sought) < h.patience() {
			return false
		}
		var gone *httpd.Problem
		if errors.As(err, &gone) && !s.kept {
			h.failed(s.op, &client.Failure{Detail: "the worker was ready, and has ended since"})
			return true
		}
		h.log.Warn("a worker is ready, and can't be found", "worker", s.worker, "err", err)
		asked := s.op.Operation().Request
		s.told.Type, s.told.Model, s.told.Engine = asked.WorkerType, asked.Model, asked.Engine
		s.told.Registry, s.told.Queen = s.with["registry"], s.with["queen"]
		w = h.worker(s.told)
	}
	s.op.End(func(o *client.Operation) { o.Worker, o.InstanceID = &w, w.InstanceID })
	h.counts.spawns.WithLabelValues(string(client.Succeeded)).Inc()
	h.log.Info("worker spawned", "operation", s.op.Operation().ID, "worker", s.worker)
	return true
}
