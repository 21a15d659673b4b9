package queen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Queen is one life of a queen. Make her with New; Run her once.
type Queen struct {
	cfg       Config
	log       *slog.Logger
	table     *table
	pseudonym string        // hers in the Via header
	hurried   chan struct{} // there is someone new to ask for capabilities
	following atomic.Value  // a string: how the registry is
	began     time.Time
	oriented  chan struct{} // closed once the registry has told her of hives and workers, if there is one
	loads     *loads
	transport *http.Transport // to the workers
	metrics   *figures
	spawns    *spawns
}

// New makes a queen that knows nobody. She discovers, asks and forgets once Run
// is called.
func New(cfg Config) *Queen {
	cfg = cfg.withDefaults()
	q := &Queen{
		cfg: cfg, log: cfg.Log, table: newTable(cfg), pseudonym: newPseudonym(), hurried: make(chan struct{}, 1),
		began: time.Now(), oriented: make(chan struct{}), loads: newLoads(), transport: upstream(cfg.Limits, cfg.TLS), metrics: newFigures(), spawns: newSpawns(),
	}
	q.following.Store(noRegistry)
	if cfg.RegistryURL == "" {
		close(q.oriented) // there is nobody to tell of them
	}
	return q
}

// Handler is the API, open to every caller: Run puts Config.Access before it.
func (q *Queen) Handler() http.Handler {
	return space().Handler(
		httpd.Routes(q.log, openapi.With(info(q.modelRoutes()), q.routes())),
		httpd.RoutesAs(q.log, openai.WriteError, q.modelRoutes()),
	)
}

// space is where she speaks the protocol of models' clients.
func space() openai.Space { return openai.Space{Except: []string{"/v1/queen"}} }

func (q *Queen) routes() []httpd.Route {
	return append([]httpd.Route{
		{Method: "POST", Path: "/v1/queen/register-worker", Handler: q.registerWorker, Doc: registerDoc()},
		{Method: "POST", Path: "/v1/queen/heartbeat", Handler: q.heartbeat, Doc: heartbeatDoc()},
		{Method: "DELETE", Path: "/v1/queen/workers/{id}", Handler: q.deleteWorker, Doc: deleteDoc()},
		{Method: "POST", Path: "/v1/queen/workers/{id}/stop", Handler: q.stopWorker, Doc: stopDoc()},
		{Method: "POST", Path: "/v1/queen/spawn-worker", Handler: q.spawnWorker, Doc: spawnDoc()},
		{Method: "GET", Path: "/v1/queen/workers", Handler: q.listWorkers, Doc: workersDoc()},
		{Method: "GET", Path: "/v1/queen/hives", Handler: q.listHives, Doc: hivesDoc()},
		{Method: "GET", Path: "/health", Handler: q.health, Doc: healthDoc()},
		{Method: "GET", Path: "/capabilities", Handler: q.capabilities, Doc: capabilitiesDoc()},
		{Method: "GET", Path: "/metrics", Handler: scrape.Handler(append(q.metrics.collectors(), census{q.table})...), Doc: scrape.Doc()},
	}, q.operationRoutes()...)
}

// modelRoutes are those that clients of the OpenAI protocol use.
func (q *Queen) modelRoutes() []httpd.Route {
	return []httpd.Route{
		{Method: "GET", Path: "/v1/models", Handler: q.listModels, Doc: modelsDoc()},
		{Method: "GET", Path: "/v1/models/{id...}", Handler: q.oneModel, Doc: modelDoc()},
		{Method: "POST", Path: "/v1/chat/completions", Handler: q.routing("chat"), Doc: routedDoc("Chat")},
		{Method: "POST", Path: "/v1/completions", Handler: q.routing("completions"), Doc: routedDoc("Complete a text")},
		{Method: "POST", Path: "/v1/embeddings", Handler: q.routing("embeddings"), Doc: routedDoc("Embed texts")},
	}
}

// Run serves on ln, registers with the registry and follows it, until ctx ends;
// then she unregisters, running requests finish within Config.Drain, the others are cut
// with an error, and Run returns nil. It closes ln. A registry that is away is no error; an address that can be no registry's
// is.
func (q *Queen) Run(ctx context.Context, ln net.Listener) error {
	access := q.cfg.Access
	access.Refuse = space().Refuse
	access.Hosts = append([]string{q.cfg.Advertise}, access.Hosts...) // the name we gave out ourselves
	g, ctx := errgroup.WithContext(ctx)
	if q.cfg.RegistryURL != "" {
		reg, err := registry.NewClient(registry.Config{
			URL: q.cfg.RegistryURL, Token: q.cfg.Token, TLS: q.cfg.TLS, Log: q.log,
			HeartbeatInterval: q.cfg.HeartbeatInterval, PollInterval: q.cfg.PollInterval, CacheDir: q.cfg.CacheDir,
		})
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		defer reg.Close()
		q.following.Store(awayRegistry) // until it answers
		g.Go(func() error { return q.follow(ctx, reg) })
		self := registry.NewLife(registry.Queen, q.cfg.ID, q.cfg.Advertise, ln.Addr(), access.TLS != nil)
		if !q.cfg.Hidden {
			g.Go(func() error { reg.Announce(ctx, self); return nil })
		}
	}
	g.Go(func() error { return q.sweeping(ctx) })
	g.Go(func() error { return q.fetching(ctx) })
	g.Go(func() error { return q.serve(ctx, ln, access) })
	g.Go(func() error { return q.spawns.ops.Run(ctx) })
	return g.Wait()
}

// serve answers on ln until ctx ends, gives running requests the drain time, and cuts
// the rest, telling their clients.
func (q *Queen) serve(ctx context.Context, ln net.Listener, access httpd.Access) error {
	defer q.transport.CloseIdleConnections()
	cut, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutOff(nil)
	served := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() {
		select {
		case <-served:
			return
		case <-ctx.Done():
		}
		drain := time.NewTimer(q.cfg.Drain)
		defer drain.Stop()
		select {
		case <-served:
		case <-drain.C:
		case <-q.cfg.Hurry:
		}
		cutOff(errStopping)
	})
	defer cutting.Wait()
	defer close(served)
	return httpd.Serve(ctx, ln, httpd.CutWith(cut, access.Wrap(q.Handler())), httpd.ServeOptions{
		Log: q.log, TLS: access.TLS, Read: q.cfg.ReadTime, Drain: q.cfg.Drain + time.Second, Hurry: q.cfg.Hurry,
	})
}

// lookEvery is the time between two looks at the table: much less than makes anybody offline.
func (q *Queen) lookEvery() time.Duration {
	return min(time.Second, max(q.cfg.OfflineAfter/20, time.Millisecond))
}

// sweeping forgets who is gone until ctx ends. It looks often enough that a gap
// between two looks means that we were stopped ourselves.
func (q *Queen) sweeping(ctx context.Context) error {
	tick := time.NewTicker(q.lookEvery())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, m := range q.table.sweep(time.Now()) {
				q.log.Info("gone", "type", m.Kind, "id", m.ID, "instance", m.InstanceID, "left_registry", m.left)
			}
		}
	}
}
