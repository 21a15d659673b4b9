package hive

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
)

// recover takes up the operations of workers that an earlier life of this hive spawned, so
// that who follows one from there comes to its end.
func (h *Hive) recover() {
	own, err := h.launches()
	if err != nil {
		h.log.Warn("the workers of earlier can't be found", "err", err)
		return
	}
	for _, l := range own {
		job, err := h.jobOf(l.ID)
		if err != nil || h.ops.Get(job.Operation) != nil {
			continue
		}
		h.log.Info("worker found again", "worker", l.ID, "status", l.Status, "pid", l.PID)
		begun := client.Operation{
			ID: job.Operation, HiveID: h.cfg.ID, Request: job.Request, WorkerID: l.ID, StartedAt: l.StartedAt.UTC(),
		}
		_, err = h.ops.Begin(begun, func(ctx context.Context, op *operation.Running) {
			if l.Status == launch.Starting {
				h.resume(ctx, op, l.ID)
			} else {
				op.End(func(o *client.Operation) { o.Worker = new(h.worker(l)) })
			}
		})
		if err != nil {
			return
		}
	}
}

func (h *Hive) jobOf(id string) (Job, error) {
	kept, err := launch.ResumeOf(h.cfg.RuntimeDir, id)
	if err != nil {
		return Job{}, err
	}
	return jobOf(kept)
}

// resume follows a start that was begun by an earlier life.
func (h *Hive) resume(ctx context.Context, op *operation.Running, id string) {
	s := h.newSpawning(op)
	s.worker = id
	r, err := launch.Open(h.cfg.RuntimeDir, id)
	if err != nil {
		h.failed(op, s.failure(err.Error()))
		return
	}
	defer r.Close()
	over := make(chan struct{})
	var cancelling sync.WaitGroup
	cancelling.Go(func() {
		select {
		case <-op.Cancelled():
			if err := r.Stop(ctx, launch.StopOptions{}); err != nil { // else the events tell
				h.log.Warn("a start can't be cancelled", "worker", id, "err", err)
			}
		case <-over:
		}
	})
	defer cancelling.Wait()
	defer close(over)
	for e, err := range r.Events(ctx, false) {
		switch {
		case err != nil:
			h.failed(op, s.failure(err.Error()))
			return
		case e.Event == launch.Ended:
			h.failed(op, s.failure(e.Error))
			return
		}
		s.event(e)
		if s.ready != nil {
			h.succeeded(op, id)
			return
		}
	}
}

// tending looks for workers whose keeper was killed, and gives them another one, until
// ctx ends.
func (h *Hive) tending(ctx context.Context) error {
	var adopting sync.WaitGroup
	defer adopting.Wait()
	tick := time.NewTicker(h.cfg.Tend)
	defer tick.Stop()
	for {
		orphans, err := launch.Orphans(h.cfg.RuntimeDir)
		if err != nil {
			h.log.Debug("orphans can't be looked for", "err", err)
		}
		for _, o := range orphans {
			if o.SpawnedBy == h.cfg.spawner() && h.take(o.ID) {
				adopting.Go(func() {
					defer h.release(o.ID)
					h.adopt(ctx, o)
				})
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// take has one task at a time see to a worker.
func (h *Hive) take(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tended[id] {
		return false
	}
	h.tended[id] = true
	return true
}

func (h *Hive) release(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.tended, id)
}

// adopt gives an orphan a keeper, and waits until that has it.
func (h *Hive) adopt(ctx context.Context, o launch.Orphan) {
	if _, err := jobOf(o.Resume); err != nil {
		h.log.Debug("an orphan is left to whoever launched it", "worker", o.ID, "err", err)
		return
	}
	said, err := sidecar.ReadResume(o.Resume)
	if err != nil {
		h.log.Warn("a worker's keeper was killed, and there is no other", "worker", o.ID, "err", err)
		return
	}
	program := h.cfg.Keeper(said.Args[1])
	keeper, err := sidecar.Start(sidecar.Command{Path: program.Path, Argv: program.Argv, Env: said.Env, Dir: said.Dir, Adopt: o.ID})
	if err != nil {
		h.log.Warn("a worker's keeper was killed, and there is no other", "worker", o.ID, "err", err)
		return
	}
	defer keeper.Leave()
	for {
		select {
		case m, more := <-keeper.Messages():
			switch {
			case !more:
				h.log.Warn("a keeper died before it had its worker", "worker", o.ID)
				return
			case m.End != nil:
				h.log.Warn("a worker was not adopted", "worker", o.ID, "err", errors.New(m.End.Text))
				return
			case m.Event != nil && m.Event.Event == launch.Ready:
				h.log.Info("worker adopted: its keeper was killed", "worker", o.ID, "pid", m.Event.PID)
				h.counts.adopted.Inc()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
