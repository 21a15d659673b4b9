package queen_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// stops counts what the machine stops.
func (m *machine) stops() *atomic.Int32 {
	var n atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { n.Add(1); _ = httpd.WriteJSON(w, 200, "stopped") })
	m.stop.Store(&h)
	return &n
}

// TestStopOfOneThatIsNotRegistered: a worker that starts, or waits for its next life, is
// stopped where it is.
func TestStopOfOneThatIsNotRegistered(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	starts := func(ctx context.Context, op *operation.Running) {
		op.Tell(hive.Event{Name: "leased", Data: []byte(`{"event":"leased","id":"starting"}`)})
		untilCancelled(ctx, op)
	}
	a, b := newMachine(t, reg, "a", 64<<30, starts), newMachine(t, reg, "b", 8<<30, starts)
	atA, atB := a.stops(), b.stops()
	url := queenOver(t, queen.Config{RegistryURL: reg}, 2)
	stop := func(id string) (int, map[string]any) {
		status, _, answer := ask(t, "POST", url+"/v1/queen/workers/"+id+"/stop", "")
		return status, answer
	}
	if status, answer := stop("nobody"); status != 404 || answer["code"] != registry.CodeUnknown {
		t.Errorf("nobody's: %d %v", status, answer)
	}
	b.workers.Store("in/backoff", true)
	if status, answer := stop("in%2Fbackoff"); status != 200 || atA.Load() != 0 || atB.Load() != 1 {
		t.Errorf("one in backoff: %d %v, stopped are %d and %d", status, answer, atA.Load(), atB.Load())
	}
	a.workers.Store("in/backoff", true)
	if status, answer := stop("in%2Fbackoff"); status != 409 || answer["code"] != client.CodeAmbiguous || atA.Load()+atB.Load() != 1 {
		t.Errorf("one of two hives: %d %v", status, answer)
	}
	// Of an operation of hers she knows the hive, which does not list the worker here.
	_, _, begun := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	id, _ := begun["operation_id"].(string)
	eventually(t, "the worker has an id", func() bool { return operationAt(t, url, id).WorkerID == "starting" })
	if status, answer := stop("starting"); status != 200 || atA.Load() != 1 {
		t.Errorf("one that starts: %d %v", status, answer)
	}
	// Who does not answer may have it.
	a.srv.Listener.Close()
	status, answer := stop("nobody")
	if detail, _ := answer["detail"].(string); status != 404 || !containsAll(detail, "hive a does not say", "refused") || strings.Contains(detail, "hive b") {
		t.Errorf("of a hive that is away: %d %v", status, answer)
	}
}
