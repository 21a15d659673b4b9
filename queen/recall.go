package queen

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// operationRoutes are those of her operations. One that she does not know may be of an
// earlier life of hers: it goes on at its hive, under the same id.
func (q *Queen) operationRoutes() []httpd.Route {
	routes := q.spawns.ops.Routes()
	for i, route := range routes {
		if !strings.Contains(route.Path, "{id}") {
			continue
		}
		routes[i].Handler = func(w http.ResponseWriter, r *http.Request) error {
			if err := q.recall(r.Context(), r.PathValue("id")); err != nil {
				return err
			}
			return route.Handler(w, r)
		}
		routes[i].Doc.Refuses = maps.Clone(route.Doc.Refuses)
		routes[i].Doc.Refuses[http.StatusServiceUnavailable] = []string{client.CodeNoHive}
	}
	return routes
}

// recall looks for an operation at the hives, if she does not know it, and makes it hers
// again. Where nobody has it that is no error, unless it is too early to say so: whoever
// follows it takes a 404 for the end.
func (q *Queen) recall(ctx context.Context, id string) error {
	if q.spawns.ops.Get(id) != nil || len(id) > registry.MaxID {
		return nil
	}
	q.orient(ctx)
	found, silent := askHives(ctx, q, func(ctx context.Context, to *hive.Client) (hive.Operation, error) {
		op, err := to.Operation(ctx, id)
		if err == nil && op.ID != id {
			err = errNoHive
		}
		return op, err
	})
	young, away := time.Since(q.began) < q.cfg.OfflineAfter, q.following.Load() == awayRegistry
	switch {
	case len(found) > 0:
		return q.resume(ctx, found[0])
	case young && (len(silent) > 0 || away):
		why := cmp.Or(strings.Join(silent, "; "), "the registry, which knows the hives, is away")
		return httpd.Errorf(http.StatusServiceUnavailable, client.CodeNoHive,
			"the queen has just started, and does not know the operation %q (yet): %s", id, why)
	case len(silent) > 0:
		return httpd.Errorf(http.StatusNotFound, hive.CodeUnknownOperation, "there is no operation %q, as far as can be told: %s",
			id, enumerated(silent))
	}
	return nil
}

// orient waits until she knows hives and workers, in the first moments of her life.
func (q *Queen) orient(ctx context.Context) {
	wait := time.NewTimer(orientation - time.Since(q.began)) // at once, where that is over
	defer wait.Stop()
	select {
	case <-q.oriented:
	case <-wait.C:
	case <-ctx.Done():
	}
}

// resume makes a hive's operation hers. One that has ended has done so here, too, when it returns.
func (q *Queen) resume(ctx context.Context, at from[hive.Operation]) error {
	to, err := q.hiveAt(at.at)
	if err != nil {
		return err
	}
	begun := at.answer
	ended, endedAt := begun.Status != hive.Running, begun.EndedAt
	begun.HiveID, begun.Why = at.hive, "hive "+at.hive+" had it; the queen did not know it"
	begun.Worker, begun.Error, begun.EndedAt = nil, nil, time.Time{} // its end will tell
	where := choice{offer: offer{id: at.hive}}
	over := make(chan struct{})
	q.spawns.count(where)
	_, err = q.spawns.ops.Begin(begun, func(ctx context.Context, op *operation.Running) {
		defer to.Close()
		defer close(over)
		end := q.followSpawn(ctx, to, op)
		q.spawns.settle(where)
		switch {
		case end == nil:
		case ended:
			op.EndAt(endedAt, end)
		default:
			op.End(end)
		}
	})
	if err != nil {
		q.spawns.settle(where)
		to.Close()
		if errors.Is(err, operation.ErrLeaving) {
			return httpd.Errorf(http.StatusServiceUnavailable, client.CodeNoHive, "the queen is being stopped: ask again for operation %q", begun.ID)
		}
		return nil // another request was quicker
	}
	q.log.Info("a spawn is followed again", "operation", begun.ID, "hive", at.hive)
	if !ended {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, q.cfg.FetchTimeout)
	defer cancel()
	select {
	case <-over:
	case <-ctx.Done():
	}
	return nil
}
