package hive

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	type earlier struct {
		launch.Launch
		job Job
	}
	var all []earlier
	for _, l := range own {
		if l.SpawnedBy != h.cfg.SpawnedBy {
			continue // another hive's, though we may see it: the start is that one's to tell
		}
		if job, err := h.jobOf(l.ID); err == nil {
			all = append(all, earlier{l, job})
		}
	}
	slices.SortFunc(all, func(a, b earlier) int { return cmp.Compare(a.job.Operation, b.job.Operation) }) // as they began
	for _, e := range all {
		h.log.Info("worker found again", "worker", e.ID, "status", e.Status, "pid", e.PID)
		begun := client.Operation{
			ID: e.job.Operation, HiveID: h.cfg.ID, Request: e.job.Request, WorkerID: e.ID, InstanceID: e.InstanceID, StartedAt: e.job.began(),
		}
		_, err := h.ops.Begin(begun, func(ctx context.Context, op *operation.Running) {
			switch e.Status {
			case launch.IsReady, launch.IsUnhealthy, launch.InBackoff: // it was ready once
				if events := h.remembered(ctx, e.ID); !h.registering(events) {
					op.EndAt(h.retell(op, events), func(o *client.Operation) { o.Worker = new(h.worker(e.Launch)) })
					return
				}
			}
			s := h.newSpawning(op)
			s.worker = e.ID
			h.resume(ctx, s)
		})
		if err != nil {
			h.log.Warn("the operation of a worker can't be taken up", "worker", e.ID, "err", err)
		}
	}
}

// remembered are the events of a launch, from its beginning on; none where its launcher does
// not remember that.
func (h *Hive) remembered(ctx context.Context, id string) []launch.Event {
	r, err := launch.Open(h.cfg.RuntimeDir, id)
	if err != nil {
		return nil
	}
	defer r.Close()
	i, err := r.Inspect(ctx)
	if err != nil || len(i.Events) == 0 || i.Events[0].Event != launch.Leased {
		return nil
	}
	return i.Events
}

// registering reports whether a worker became ready so lately that its start still waits for
// its registrations.
func (h *Hive) registering(events []launch.Event) bool {
	with := map[string]bool{}
	i := slices.IndexFunc(events, func(e launch.Event) bool { return e.Event == launch.Ready })
	if i < 0 || time.Since(events[i].Time) > h.cfg.Registering {
		return false
	}
	for _, e := range events[i:] {
		if e.Event == launch.Registered {
			with[e.With] = true
		}
	}
	return len(with) < h.places
}

// retell tells again how a worker became ready, as far as that is remembered, and gives the
// time of that; zero where it is not known any more.
func (h *Hive) retell(op *operation.Running, events []launch.Event) (ended time.Time) {
	s := h.newSpawning(op)
	var ready time.Time
	for _, e := range events {
		if !ready.IsZero() && (e.Event != launch.Registered || e.Time.Sub(ready) > h.cfg.Registering) {
			break
		}
		s.event(e)
		if e.Event == launch.Ready {
			ready = e.Time
		}
		if !ready.IsZero() {
			ended = e.Time
		}
	}
	return ended
}

func (h *Hive) jobOf(id string) (Job, error) {
	kept, err := launch.ResumeOf(h.cfg.RuntimeDir, id)
	if err != nil {
		return Job{}, err
	}
	return jobOf(kept)
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
		orphans = slices.DeleteFunc(orphans, func(o launch.Orphan) bool { return o.SpawnedBy != h.cfg.SpawnedBy })
		for _, o := range h.attempts.begin(time.Now(), orphans) {
			adopting.Go(func() {
				err := h.adopt(ctx, o)
				failures := h.attempts.end(time.Now(), o.ID, err)
				if err != nil && ctx.Err() == nil && seldom(failures) {
					h.log.Warn("a worker's keeper was killed, and there is no other", "worker", o.ID, "attempts", failures, "err", err)
				}
			})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// seldom has what repeats itself logged at its 1st, 10th, then every 100th time.
func seldom(n int) bool { return n == 1 || n == 10 || n%100 == 0 }

// attempts are those to give orphans a keeper: one at a time for each, and fewer as more
// of them fail.
type attempts struct {
	tend time.Duration

	mu   sync.Mutex
	made map[string]attempt // by the worker's id
}

type attempt struct {
	running  bool
	failures int
	next     time.Time
}

// longestTend is how long an orphan waits at most for the next attempt.
const longestTend = time.Minute

// begin is whose turn it is; end is called for each of them. Whoever is no orphan any more
// is forgotten.
func (a *attempts) begin(now time.Time, orphans []launch.Orphan) (due []launch.Orphan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	made := map[string]attempt{}
	for id, m := range a.made {
		if m.running {
			made[id] = m
		}
	}
	for _, o := range orphans {
		m := a.made[o.ID]
		if !m.running && !now.Before(m.next) {
			m.running = true
			due = append(due, o)
		}
		made[o.ID] = m
	}
	a.made = made
	return due
}

// end gives the number of attempts that have failed.
func (a *attempts) end(now time.Time, id string, err error) (failures int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := a.made[id]
	if m.running = false; err == nil {
		delete(a.made, id)
		return 0
	}
	m.failures++
	m.next = now.Add(min(a.tend<<min(m.failures, 10), longestTend))
	a.made[id] = m
	return m.failures
}

// adopt gives an orphan a keeper, and waits until that has it.
func (h *Hive) adopt(ctx context.Context, o launch.Orphan) error {
	if _, err := jobOf(o.Resume); err != nil {
		return err
	}
	said, err := sidecar.ReadResume(o.Resume)
	if err != nil {
		return err
	}
	program := h.cfg.Keeper(said.Args[1])
	keeper, err := sidecar.Start(sidecar.Command{Path: program.Path, Argv: program.Argv, Env: said.Env, Dir: said.Dir, Adopt: o.ID})
	if err != nil {
		return err
	}
	defer keeper.Leave()
	for {
		select {
		case m, more := <-keeper.Messages():
			switch {
			case !more:
				return errors.New("the new one died before it had the worker")
			case m.End != nil:
				return errors.New(m.End.Text)
			case m.Event != nil && m.Event.Event == launch.Adopted:
				h.log.Info("worker adopted: its keeper was killed", "worker", o.ID, "pid", m.Event.PID)
				h.counts.adopted.Inc()
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
