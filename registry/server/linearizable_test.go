package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// call is what one client asked of the registry, and outcome what it was answered.
type call struct {
	what         string // register, heartbeat, unregister or list
	id, instance string
}

type outcome struct {
	status   int
	revision uint64 // where the answer has one
	list     string // ID/INSTANCE of each worker, sorted
}

// entries is the state of a registry that does one thing after the other. Time does not
// pass in it.
type entries struct {
	revision uint64
	workers  string // as in outcome.list
}

func (e entries) find(id string) (instance string, there bool) {
	for w := range strings.FieldsSeq(e.workers) {
		if name, instance, _ := strings.Cut(w, "/"); name == id {
			return instance, true
		}
	}
	return "", false
}

// put is e with another instance of a worker, "" for none.
func (e entries) put(id, instance string) entries {
	var all []string
	for w := range strings.FieldsSeq(e.workers) {
		if !strings.HasPrefix(w, id+"/") {
			all = append(all, w)
		}
	}
	if instance != "" {
		all = append(all, id+"/"+instance)
	}
	slices.Sort(all)
	return entries{e.revision + 1, strings.Join(all, " ")}
}

// sequential says which answers a registry may give that does one thing at a time.
var sequential = porcupine.Model{
	Init:  func() any { return entries{} },
	Equal: func(a, b any) bool { return a == b },
	Step: func(state, input, output any) (bool, any) {
		e, in, out := state.(entries), input.(call), output.(outcome)
		held, there := e.find(in.id)
		switch {
		case in.what == "list":
			return out.status == 200 && out.list == e.workers && out.revision == e.revision, e
		case in.what == "register":
			if held != in.instance {
				e = e.put(in.id, in.instance)
			}
		case !there:
			return out.status == 404, e
		case held != in.instance:
			return out.status == 409, e
		case in.what == "unregister":
			e = e.put(in.id, "")
		}
		return out.status == 200 && out.revision == e.revision, e
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// TestConcurrentHistoryIsLinearizable: whatever clients ask side by side, each answer is one
// that a registry could have given which does one thing after the other, in an order that
// no client can tell from the true one.
func TestConcurrentHistoryIsLinearizable(t *testing.T) {
	const clients, calls, histories = 6, 40, 20
	for range histories {
		a := newAPI(t, server.Config{})
		began := time.Now()
		history := make([][]porcupine.Operation, clients)
		var all sync.WaitGroup
		for client := range clients {
			all.Go(func() {
				for range calls {
					op := porcupine.Operation{ClientId: client, Input: draw(), Call: int64(time.Since(began))}
					op.Output = op.Input.(call).ask(a)
					op.Return = int64(time.Since(began))
					history[client] = append(history[client], op)
				}
			})
		}
		all.Wait()
		if got := porcupine.CheckOperationsTimeout(sequential, slices.Concat(history...), time.Minute); got != porcupine.Ok {
			t.Fatalf("the history is %s: %v", got, history)
		}
	}
}

func draw() call {
	return call{
		what:     []string{"register", "heartbeat", "unregister", "list", "list"}[rand.N(5)],
		id:       []string{"a", "b", "c"}[rand.N(3)],
		instance: []string{"x", "y"}[rand.N(2)],
	}
}

func (c call) ask(a api) outcome {
	message := fmt.Sprintf(`{"worker_id":%q,"instance_id":%q,"hostname":"h","port":1}`, c.id, c.instance)
	var r reply
	switch c.what {
	case "list":
		return listed(a.get("components"))
	case "unregister":
		r = a.unregister(message)
	default:
		r = a.post(c.what, message)
	}
	var answer struct{ Revision uint64 }
	_ = json.Unmarshal(r.body, &answer) // a refusal has none
	return outcome{status: r.status, revision: answer.Revision}
}

func listed(r reply) outcome {
	var all registry.Snapshot
	if err := json.Unmarshal(r.body, &all); err != nil {
		return outcome{status: http.StatusInternalServerError, list: err.Error()}
	}
	workers := map[string]bool{}
	for _, e := range all.Workers {
		workers[e.ID+"/"+e.InstanceID] = true
	}
	return outcome{r.status, all.Revision, strings.Join(slices.Sorted(maps.Keys(workers)), " ")}
}
