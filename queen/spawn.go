package queen

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

const (
	// operations is where they are.
	operations = "/v1/queen/operations/"
	// keptOperations are those that have ended and are still to be asked for.
	keptOperations = 500
	// maxSpawns bounds the operations that run.
	maxSpawns = 1000
)

// spawns are the workers that hives start for the queen.
type spawns struct {
	ops *operation.Store

	mu      sync.Mutex
	pending map[string]pending // by hive
	running int
}

// pending is what a hive has been asked for and does not have yet.
type pending struct {
	starts int
	memory uint64
}

func newSpawns() *spawns {
	return &spawns{ops: operation.New(operations, keptOperations), pending: map[string]pending{}}
}

// spawnWorker sends the job to a hive, and answers at once.
func (q *Queen) spawnWorker(w http.ResponseWriter, r *http.Request) error {
	var req client.Job
	if err := httpd.ReadJSON(w, r, &req, httpd.MaxBody); err != nil {
		return err
	}
	req.WorkerType = cmp.Or(req.WorkerType, "llm")
	offers, err := q.offers(r.Context(), req.HiveID)
	if err != nil {
		return err
	}
	op, err := q.beginSomewhere(r.Context(), req, offers)
	if err != nil {
		return err
	}
	return q.spawns.ops.Answer(w, r, op)
}

// beginSomewhere has the best hive begin, and where that refuses what another one might take,
// the next best. Once a hive may have begun no other is asked.
func (q *Queen) beginSomewhere(ctx context.Context, req client.Job, offers []offer) (*operation.Running, error) {
	var refusals []*turnedDown
	for {
		where, err := q.spawns.promise(offers, req)
		if err != nil {
			return nil, together(refusals, err, offers)
		}
		op, err := q.begin(ctx, req, where)
		if err == nil {
			return op, nil
		}
		q.spawns.settle(where)
		var refused *turnedDown
		if !errors.As(err, &refused) || req.HiveID != "" {
			return nil, err
		}
		q.log.Info("a hive does not take a spawn", "hive", where.id, "model", req.Model, "err", err)
		refusals = append(refusals, refused)
		for i := range offers {
			if offers[i].id == where.id {
				offers[i].gone, offers[i].refused = refused.reason, true
			}
		}
	}
}

// promise chooses a hive, and counts what the worker will take there as taken until settle
// is called.
func (s *spawns) promise(offers []offer, req client.Job) (choice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= maxSpawns {
		return choice{}, httpd.Errorf(http.StatusServiceUnavailable, hive.CodeBusy, "%d workers are being started, which is the limit", s.running)
	}
	for i, o := range offers {
		p := s.pending[o.id]
		offers[i].promised, offers[i].starting = p.memory, p.starts
	}
	where, err := chooseHive(offers, req.SpawnRequest)
	if err != nil {
		return choice{}, httpd.Errorf(http.StatusServiceUnavailable, client.CodeNoHive, "%v", err)
	}
	if req.HiveID != "" {
		where.why = "hive " + where.id + " was asked for"
	}
	s.countLocked(where)
	return where, nil
}

// count is promise, for what a hive has begun already.
func (s *spawns) count(where choice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countLocked(where)
}

// countLocked: s.mu is held.
func (s *spawns) countLocked(where choice) {
	p := s.pending[where.id]
	s.pending[where.id] = pending{p.starts + 1, p.memory + where.memory}
	s.running++
}

// settle ends a promise: the worker has its memory, or there is none.
func (s *spawns) settle(where choice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	p := s.pending[where.id]
	if p.starts--; p.starts == 0 {
		delete(s.pending, where.id)
		return
	}
	p.memory -= where.memory
	s.pending[where.id] = p
}

// offers asks the hives that are online what they have, side by side; or the one that is
// named. While the registry is away nobody is told of hives, and all that are known from
// last time are asked: they beat to it alone.
func (q *Queen) offers(ctx context.Context, named string) ([]offer, error) {
	var asked []offer
	var known []string
	q.orient(ctx)
	away := q.following.Load() == awayRegistry
	now := time.Now()
	for _, h := range q.table.hives(now) {
		known = append(known, h.HiveID)
		if named != "" && h.HiveID != named {
			continue
		}
		o := offer{id: h.HiveID, at: componentOf(h)}
		switch {
		case !registry.ValidHost(h.Hostname):
			o.gone = fmt.Sprintf("%q is no host", h.Hostname)
		case h.Status == registry.Online:
		case away:
			o.unsure = true
		default:
			o.gone = absence(h, now)
		}
		asked = append(asked, o)
	}
	if named != "" && len(asked) == 0 {
		p := httpd.Errorf(http.StatusUnprocessableEntity, client.CodeUnknownHive, "hive_id: there is no hive %q; there is %s",
			httpd.Brief(named), cmp.Or(strings.Join(known, ", "), "none"))
		p.Field = "hive_id"
		return nil, p
	}
	if away && len(asked) == 0 {
		return nil, httpd.Errorf(http.StatusServiceUnavailable, client.CodeNoHive, "the registry is away, and no hive is known from before")
	}
	var asking sync.WaitGroup
	for i := range asked {
		if asked[i].gone == "" {
			asking.Go(func() { q.ask(ctx, &asked[i]) })
		}
	}
	asking.Wait()
	return asked, nil
}

func (q *Queen) ask(ctx context.Context, o *offer) {
	_, err := askHive(ctx, q, o.at, func(ctx context.Context, to *hive.Client) (*offer, error) { return o, to.Capabilities(ctx, o) })
	switch {
	case err != nil && o.unsure:
		o.gone = "the registry is away, and where the hive was last it does not say what it has: " + err.Error()
	case err != nil:
		o.gone = "it does not say what it has: " + err.Error()
	case o.ID != "" && o.ID != o.id:
		o.gone = fmt.Sprintf("at its address is %s", httpd.Brief(o.ID))
	}
}

// absence says why a hive is not asked that is not online.
func absence(h client.Hive, now time.Time) string {
	switch {
	case h.Status == registry.Registered:
		return "it is registered, but has not been heard of yet"
	case h.LastSeen.IsZero():
		return "it is offline: nothing has been heard of it"
	}
	return fmt.Sprintf("it is offline: nothing has been heard of it for %s", now.Sub(h.LastSeen).Round(time.Second))
}

// hiveAt is a client of the hive at an address that it registered itself. The caller
// closes it.
func (q *Queen) hiveAt(c registry.Component) (*hive.Client, error) {
	return hive.New(hive.Config{
		URL: c.URL(), Token: q.cfg.Token, TLS: q.cfg.TLS, Timeout: q.cfg.FetchTimeout, Away: q.cfg.OfflineAfter,
	})
}

// begin has the hive begin, and follows it from then on.
func (q *Queen) begin(ctx context.Context, req client.Job, where choice) (*operation.Running, error) {
	to, err := q.hiveAt(where.at)
	if err != nil {
		return nil, err
	}
	// A client that hangs up now would leave a start that nobody has promised memory to.
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(context.WithoutCancel(ctx), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	begun, err := to.Spawn(traced, req.SpawnRequest)
	if err != nil {
		to.Close()
		return nil, judgeRefusal(where.id, err, connected.Load())
	}
	if begun.ID == "" {
		to.Close()
		return nil, passOn(where.id, errors.New("its answer is no operation"))
	}
	begun.HiveID, begun.Why = where.id, where.why
	q.log.Info("a hive spawns a worker", "operation", begun.ID, "hive", where.id, "model", req.Model, "why", where.why)
	op, err := q.spawns.ops.Begin(begun, func(ctx context.Context, op *operation.Running) {
		defer to.Close()
		end := q.followSpawn(ctx, to, op)
		q.spawns.settle(where) // before anybody hears of the end, and asks for the next one
		if end != nil {
			op.End(end)
		}
	})
	if err != nil { // the hive goes on: the worker will be found like any other
		to.Close()
	}
	switch {
	case errors.Is(err, operation.ErrKnown):
		return nil, passOn(where.id, fmt.Errorf("it has begun the operation %s twice", begun.ID))
	case err != nil:
		return nil, httpd.Errorf(http.StatusServiceUnavailable, hive.CodeBusy, "%v", err)
	}
	return op, nil
}

// followSpawn tells what the hive tells of an operation, until that has ended, in the way
// that it returns; nil when she goes before it.
func (q *Queen) followSpawn(ctx context.Context, to *hive.Client, op *operation.Running) (end func(*hive.Operation)) {
	id := op.Operation().ID
	since := time.Now()
	over := make(chan struct{})
	following, enough := context.WithCancel(ctx)
	defer enough()
	var beside sync.WaitGroup
	var found *hive.WorkerProcess
	beside.Go(func() {
		if found = q.findStarted(following, to, op, since); found != nil {
			enough()
		}
	})
	beside.Go(func() {
		select {
		case <-op.Cancelled():
			q.cancelSpawn(ctx, to, id, over)
		case <-over:
		}
	})
	ended, err := to.Follow(following, id, func(e hive.Event) {
		if e.Seq == 0 {
			op.Pass(e)
			return
		}
		op.Tell(e)
		if worker, instance := workerOf(e); worker != "" {
			op.Set(func(o *hive.Operation) { o.WorkerID, o.InstanceID = worker, instance })
		}
	})
	close(over)
	enough()
	beside.Wait()
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil && found != nil:
		q.log.Info("a spawn has ended without its hive", "operation", id, "worker", found.WorkerID)
		return func(o *hive.Operation) { o.InstanceID, o.Worker = found.InstanceID, found }
	case err != nil:
		return func(o *hive.Operation) { o.Error = lost(o.WorkerID, err) }
	}
	q.log.Info("a spawn has ended", "operation", id, "status", ended.Status, "worker", ended.WorkerID)
	return func(o *hive.Operation) {
		o.WorkerID, o.InstanceID, o.Worker, o.Error, o.Phase = ended.WorkerID, ended.InstanceID, ended.Worker, ended.Error, ended.Phase
	}
}

// cancelSpawn asks the hive to end an operation until it has heard that, or the operation
// is over.
func (q *Queen) cancelSpawn(ctx context.Context, to *hive.Client, id string, over <-chan struct{}) {
	for {
		err := to.Cancel(ctx, id)
		if err == nil || !errors.Is(err, registry.ErrUnreachable) {
			return // the events tell
		}
		q.log.Debug("an operation can't be cancelled yet", "operation", id, "err", err)
		select {
		case <-time.After(cancelRetry):
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// cancelRetry is between attempts to tell a hive that a start is not wanted any more.
const cancelRetry = time.Second

// workerOf is the worker that an event names, and which life of it.
func workerOf(e hive.Event) (id, instance string) {
	var told struct {
		ID         string `json:"id"`
		InstanceID string `json:"instance_id"`
	}
	_ = json.Unmarshal(e.Data, &told) // an event that names nobody is told all the same
	return told.ID, told.InstanceID
}

// passOn is a hive's refusal as the queen's own, where it is about what was asked for. All
// else is between the hive and her: one that wants another token of her says nothing of the
// caller's.
func passOn(id string, err error) error {
	var refused *registry.Refusal
	if errors.As(err, &refused) && refused.Code != "" {
		switch refused.Status {
		case http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable:
			p := httpd.Errorf(refused.Status, refused.Code, "hive %s: %s", id, refused.Detail)
			p.Field = refused.Field
			return p
		}
	}
	return httpd.Errorf(http.StatusBadGateway, client.CodeHiveFailed, "hive %s: %v", id, err)
}
