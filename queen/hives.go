package queen

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// errNoHive: it answers, but not as a hive does.
var errNoHive = errors.New("its answer is none of a hive")

// componentOf is where a hive is.
func componentOf(h client.Hive) registry.Component {
	return registry.Component{Hostname: h.Hostname, Port: h.Port, Metadata: h.Metadata}
}

// askedAtOnce bounds the hives that are asked for one thing at the same time.
const askedAtOnce = 16

// from is what a hive has answered.
type from[T any] struct {
	hive   string
	at     registry.Component
	answer T
}

// askHives asks the hives that may be there for what one of them has, side by side. Who has it
// is in found, in the order of their ids; who did not say whether it has is in silent, with
// the reason, for people.
func askHives[T any](ctx context.Context, q *Queen, ask func(context.Context, *hive.Client) (T, error)) (found []from[T], silent []string) {
	var asked []from[T]
	away := q.following.Load() == awayRegistry
	for _, h := range q.table.hives(time.Now()) {
		if registry.ValidHost(h.Hostname) && (away || h.Status != registry.Offline) {
			asked = append(asked, from[T]{hive: h.HiveID, at: componentOf(h)})
		}
	}
	errs := make([]error, len(asked))
	places := semaphore.NewWeighted(askedAtOnce)
	var asking sync.WaitGroup
	for i := range asked {
		if errs[i] = places.Acquire(ctx, 1); errs[i] != nil {
			continue // whoever asked has gone
		}
		asking.Go(func() {
			defer places.Release(1)
			asked[i].answer, errs[i] = askHive(ctx, q, asked[i].at, ask)
		})
	}
	asking.Wait()
	for i, err := range errs {
		var refused *registry.Refusal
		switch {
		case err == nil:
			found = append(found, asked[i])
		case errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Code != "":
		default:
			silent = append(silent, fmt.Sprintf("hive %s does not say: %v", asked[i].hive, err))
		}
	}
	return found, silent
}

func askHive[T any](ctx context.Context, q *Queen, at registry.Component, ask func(context.Context, *hive.Client) (T, error)) (answer T, err error) {
	ctx, cancel := context.WithTimeout(ctx, q.cfg.FetchTimeout)
	defer cancel()
	to, err := q.hiveAt(at)
	if err != nil {
		return answer, err
	}
	defer to.Close()
	return ask(ctx, to)
}
