package queen

import (
	"cmp"
	"context"
	"errors"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/registry"
)

// findStarted waits until the worker of an operation is online while its hive is away: a hive's
// keepers outlive it, and whoever is killed in the midst of a start tells nobody how that ends. It
// returns nil when ctx ends before that, or nobody wants the worker any more.
func (q *Queen) findStarted(ctx context.Context, to *hive.Client, op *operation.Running, since time.Time) *hive.WorkerProcess {
	tick := time.NewTicker(q.lookEvery())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-op.Cancelled():
			return nil
		case <-tick.C:
		}
		o := op.Operation()
		w := q.table.started(time.Now(), o, since)
		if w == nil {
			continue
		}
		// The hive has the word, if it answers.
		if _, err := to.Operation(ctx, o.ID); errors.Is(err, registry.ErrUnreachable) && ctx.Err() == nil {
			return w
		}
	}
}

// started is the worker of an operation, if it is online, as far as it is known here. Without the
// word of its hive on which instance that is, it is one that became known after since.
func (t *table) started(now time.Time, o hive.Operation, since time.Time) *hive.WorkerProcess {
	t.mu.Lock()
	defer t.mu.Unlock()
	m, known := t.book.members[key{registry.Worker, o.WorkerID}]
	switch {
	case !known || m.hive() != o.HiveID || m.status(t.clock(now)) != registry.Online:
		return nil
	case o.InstanceID != "" && m.InstanceID != "":
		if o.InstanceID != m.InstanceID {
			return nil
		}
	case m.known.Before(since):
		return nil
	}
	engine, _ := m.Metadata["engine"].(string) // others' JSON: anything else is none
	return &hive.WorkerProcess{
		WorkerID: m.ID, InstanceID: m.InstanceID, HiveID: o.HiveID, Hostname: m.Hostname, Port: m.Port,
		WorkerType: m.WorkerType, Model: m.Model, Engine: cmp.Or(engine, o.Request.Engine), Status: "ready",
		StartedAt: m.registeredAt.UTC(), Registry: m.listed == registry.Online, Queen: m.direct,
	}
}

// lost is why there is no more to be told of an operation whose hive can't be followed any more.
func lost(worker string, err error) *hive.Failure {
	var refused *registry.Refusal
	if errors.As(err, &refused) || worker == "" {
		return &hive.Failure{Detail: "the hive lost sight of it: " + err.Error()}
	}
	return &hive.Failure{Detail: "nothing is heard of its hive any more, and " + worker + ", which it was starting, is not online: " + err.Error()}
}
