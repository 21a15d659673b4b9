package queen

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// stopLimit is how long a worker's stop may take: the longest grace period of our engines
// is 30 s, and launch.Stop takes a minute and a half beyond it at most, to say then what is
// the matter.
const stopLimit = 130 * time.Second

// stopWorker has a worker's hive stop it, and answers when that has.
func (q *Queen) stopWorker(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	parent, at, err := q.parent(r.Context(), id)
	if err != nil {
		return err
	}
	to, err := q.hiveAt(at)
	if err != nil {
		return err
	}
	defer to.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), stopLimit)
	defer cancel()
	if err := to.Stop(ctx, id); err != nil {
		return passOn(parent, err)
	}
	q.log.Info("worker stopped", "worker", id, "hive", parent)
	return httpd.WriteJSON(w, http.StatusOK, done{"ok"})
}

// parent is the hive that can stop a worker, and where it is.
func (q *Queen) parent(ctx context.Context, id string) (parent string, at registry.Component, err error) {
	if m, known := q.table.get(registry.Worker, id); known {
		parent = m.hive()
		if parent == "" {
			return "", at, httpd.Errorf(http.StatusConflict, client.CodeNoParent,
				"%s has no hive as its parent: %s has to stop it ('rbee-launch stop %s' on its machine)", id, cmp.Or(m.spawnedBy, "whoever launched it"), id)
		}
	} else if parent = q.spawns.starting(id); parent == "" {
		return q.parentByAsking(ctx, id)
	}
	of, known := q.table.get(registry.Hive, parent)
	if !known || !registry.ValidHost(of.Hostname) {
		return "", at, httpd.Errorf(http.StatusServiceUnavailable, client.CodeNoHive, "%s is the worker of hive %s, which is not there", id, parent)
	}
	return parent, of.Component, nil
}

// starting is the hive of the operation that starts a worker; "" when none does.
func (s *spawns) starting(id string) string {
	for _, op := range s.ops.List() {
		if op.Status == hive.Running && op.WorkerID == id {
			return op.HiveID
		}
	}
	return ""
}

// parentByAsking looks for a worker that is not registered at the hives: it may be
// starting, or wait for its next life.
func (q *Queen) parentByAsking(ctx context.Context, id string) (parent string, at registry.Component, err error) {
	unknown := func(more string) error {
		return httpd.Errorf(http.StatusNotFound, registry.CodeUnknown, "worker %q is not known%s", httpd.Brief(id), more)
	}
	if len(id) > registry.MaxID {
		return "", at, unknown("")
	}
	found, silent := askHives(ctx, q, func(ctx context.Context, to *hive.Client) (hive.WorkerProcess, error) {
		w, err := to.Worker(ctx, id)
		if err == nil && w.WorkerID != id {
			err = errNoHive
		}
		return w, err
	})
	switch {
	case len(found) == 1:
		return found[0].hive, found[0].at, nil
	case len(found) > 1:
		var hives []string
		for _, f := range found {
			hives = append(hives, f.hive)
		}
		return "", at, httpd.Errorf(http.StatusConflict, client.CodeAmbiguous, "several hives have a worker %q: %s; DELETE it at the one that is meant",
			id, strings.Join(hives, ", "))
	case len(silent) > 0:
		return "", at, unknown(", as far as can be told: " + enumerated(silent))
	}
	return "", at, unknown(", not to the hives that are online either")
}
