package hive

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/inventory"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Hive is one life of a hive. Make it with New; run it once.
type Hive struct {
	cfg       Config
	log       *slog.Logger
	catalog   *engines.Catalog
	inventory *inventory.Inventory
	ops       *operation.Store
	counts    *counts
	usage     *usage

	places  int           // registrations that a worker is to have
	leaving chan struct{} // closed when Run is to end
	found   sync.Once     // the workers of an earlier life

	attempts attempts // to give workers another keeper

	mu sync.Mutex // admits one spawn after the other
}

// operations is where they are.
const operations = "/v1/hive/operations/"

// keptOperations are those that have ended and are still to be asked for.
const keptOperations = 100

// lastLook is how long a look at the machine may take when the hive goes: a file server
// that hangs does not keep it.
const lastLook = 2 * time.Second

// New makes a hive. It fails on engine profiles that can't be read.
func New(cfg Config) (*Hive, error) {
	cfg = cfg.withDefaults()
	catalog, err := engines.Load(cfg.EngineFile)
	if err != nil {
		return nil, err
	}
	h := &Hive{
		cfg: cfg, log: cfg.Log, catalog: catalog, attempts: attempts{tend: cfg.Tend}, usage: newUsage(), leaving: make(chan struct{}),
		ops: operation.New(operations, keptOperations),
		inventory: inventory.New(inventory.Config{
			ModelDirs: cfg.ModelDirs, NobodyAsked: cfg.UsualModelDirs, Catalog: catalog, Find: launch.FindEngine, Log: cfg.Log,
		}),
	}
	if cfg.RegistryURL != "" {
		h.places++
	}
	if cfg.QueenURL == nil || *cfg.QueenURL != "" {
		h.places++
	}
	h.counts = newCounts(h)
	return h, nil
}

// Handler is the API, open to every caller: Run puts Config.Access before it. The workers of
// an earlier life are found before anybody can ask for them.
func (h *Hive) Handler() http.Handler {
	h.found.Do(h.recover)
	return httpd.Routes(h.log, openapi.With(info(), h.routes()))
}

func (h *Hive) routes() []httpd.Route {
	return append([]httpd.Route{
		{Method: "POST", Path: "/v1/hive/workers", Handler: h.spawn, Doc: spawnDoc()},
		{Method: "GET", Path: "/v1/hive/workers", Handler: h.listWorkers, Doc: workersDoc()},
		{Method: "GET", Path: "/v1/hive/workers/{id}", Handler: h.getWorker, Doc: workerDoc()},
		{Method: "GET", Path: "/v1/hive/workers/{id}/logs", Handler: h.logs, Doc: logsDoc()},
		{Method: "GET", Path: "/v1/hive/workers/{id}/usage", Handler: h.streamUsage, Doc: usageDoc()},
		{Method: "POST", Path: "/v1/hive/workers/{id}/restart", Handler: h.restartWorker, Doc: restartDoc()},
		{Method: "DELETE", Path: "/v1/hive/workers/{id}", Handler: h.stopWorker, Doc: stopDoc()},
		{Method: "GET", Path: "/health", Handler: h.health, Doc: healthDoc()},
		{Method: "GET", Path: "/capabilities", Handler: h.capabilities, Doc: capabilitiesDoc()},
		{Method: "GET", Path: "/metrics", Handler: h.counts.serve, Doc: scrape.Doc()},
	}, h.ops.Routes()...)
}

// Run finds its workers again, serves on ln and registers with the registry, until ctx
// ends; then it unregisters itself and returns nil. Its workers go on, unless
// Config.StopWorkers says otherwise. It closes ln. A registry that is away is no error; an
// address that can be no registry's is.
func (h *Hive) Run(ctx context.Context, ln net.Listener) error {
	access := h.cfg.Access
	advertised := h.cfg.advertise(ctx)                           // of the hive itself the registry knows better, if need be
	access.Hosts = append([]string{advertised}, access.Hosts...) // the name we gave out ourselves
	g, ctx := errgroup.WithContext(ctx)
	if h.cfg.RegistryURL != "" {
		shown, err := h.cfg.Credentials.Read()
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		reg, err := registry.NewClient(registry.Config{
			URL: h.cfg.RegistryURL, Token: shown.Token, TLS: shown.TLS, CacheDir: h.cfg.CacheDir, HeartbeatInterval: h.cfg.HeartbeatInterval, Log: h.log,
		})
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		defer reg.Close()
		self := registry.NewLife(registry.Hive, h.cfg.ID, advertised, ln.Addr(), access.TLS != nil)
		g.Go(func() error { reg.Announce(ctx, self); return nil })
		g.Go(func() error {
			for range reg.Watch(ctx) { // so that what the keepers find on disk is of today
			}
			return nil
		})
	}
	g.Go(func() error { return h.Work(ctx) })
	g.Go(func() error {
		return httpd.Serve(ctx, ln, access.Wrap(h.Handler()), httpd.ServeOptions{Log: h.log, TLS: access.TLS, Read: h.cfg.ReadTime})
	})
	return g.Wait()
}

// Work is Run without the server: what goes on between the requests to a Handler that
// somebody else serves. It runs once.
func (h *Hive) Work(ctx context.Context) error {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
		defer cancel()
		if err := h.inventory.Close(ctx); err != nil {
			h.log.Warn("a look at the machine hangs", "err", err)
		}
	}()
	h.found.Do(h.recover)
	var g errgroup.Group
	g.Go(func() error { h.inventory.Look(ctx); return nil }) // what is wrong with a folder is told now, and not with the first question
	g.Go(func() error { return h.tending(ctx) })
	g.Go(func() error { return h.sampling(ctx) })
	g.Go(func() error { return h.ops.Run(ctx) })
	<-ctx.Done()
	close(h.leaving)
	err := g.Wait()
	if h.cfg.StopWorkers {
		h.stopAll(context.WithoutCancel(ctx))
	}
	return err
}
