package gui

import (
	"cmp"
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// GUI is one life of a GUI. Make it with New; run it once.
type GUI struct {
	cfg       Config
	log       *slog.Logger
	proxyLog  *log.Logger
	hostname  string
	here      *hive.Hive
	cluster   *cluster
	transport *http.Transport
	page      *page
	leaving   chan struct{} // closed when Run is to end
}

// New makes a GUI. It fails on engine profiles that can't be read.
func New(ctx context.Context, cfg Config) (*GUI, error) {
	cfg = cfg.withDefaults()
	here, err := hive.New(cfg.Here)
	if err != nil {
		return nil, err
	}
	g := &GUI{
		cfg: cfg, log: cfg.Log, here: here, cluster: newCluster(cfg.RegistryURL, cfg.Here.Advertise, 2*cfg.HeartbeatInterval), transport: transport(cfg.TLS),
		proxyLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		page:     newPage(built()), leaving: make(chan struct{}),
	}
	g.hostname, _ = os.Hostname() // shown; a machine may have none
	return g, nil
}

// Handler is the page and its API, open to every caller: Run puts Config.Access before it.
// What other web pages have a browser ask for is refused, whoever the user is.
func (g *GUI) Handler() http.Handler {
	routes, here := httpd.Routes(g.log, g.routes()), below(hereBase, g.here.Handler())
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(foreign))
	return own.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Sec-Fetch-Site") { // what is read, too, is for our page alone
		case "", "same-origin", "none":
		default:
			if strings.HasPrefix(r.URL.Path, "/api/") {
				foreign(w, r)
				return
			}
		}
		if strings.HasPrefix(r.URL.Path, hereBase+"/") {
			here.ServeHTTP(w, r)
			return
		}
		routes.ServeHTTP(w, r)
	}))
}

// below has h at a path of ours, and say so where it names paths of its own.
func below(path string, h http.Handler) http.Handler {
	return http.StripPrefix(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // has a copy of it
		r.Header = r.Header.Clone()
		r.Header.Set(operation.PrefixHeader, path)
		h.ServeHTTP(w, r)
	}))
}

func foreign(w http.ResponseWriter, _ *http.Request) {
	httpd.WriteProblem(w, httpd.Errorf(http.StatusForbidden, "foreign_origin", "requests from other web pages are not taken"))
}

func (g *GUI) routes() []httpd.Route {
	return slices.Concat(g.page.routes(), []httpd.Route{
		{Method: "GET", Path: "/api/stream", Handler: g.stream},
		{Method: "GET", Path: "/health", Handler: g.health},
	}, g.passedRoutes())
}

// Run serves on ln, registers with the registry and watches it, until ctx ends; then it
// unregisters and returns nil. Workers that it has spawned go on. It closes ln. A registry
// that is away is no error; an address that can be no registry's is.
func (g *GUI) Run(ctx context.Context, ln net.Listener) error {
	access := g.cfg.Access
	access.Hosts = append([]string{g.cfg.Advertise}, access.Hosts...) // the name we gave out ourselves
	group, ctx := errgroup.WithContext(ctx)
	if g.cfg.RegistryURL != "" {
		reg, err := registry.NewClient(registry.Config{
			URL: g.cfg.RegistryURL, Token: g.cfg.Token, TLS: g.cfg.TLS, CacheDir: g.cfg.CacheDir, HeartbeatInterval: g.cfg.HeartbeatInterval, Log: g.log,
		})
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		defer reg.Close()
		self := registry.NewLife(registry.GUI, g.cfg.ID, g.cfg.Advertise, ln.Addr(), access.TLS != nil)
		group.Go(func() error { reg.Announce(ctx, self); return nil })
		group.Go(func() error {
			for view := range reg.Watch(ctx) {
				g.cluster.learn(view)
			}
			return nil
		})
	}
	group.Go(func() error { return g.here.Work(ctx) })
	group.Go(func() error { return g.looking(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		close(g.leaving)
		return nil
	})
	group.Go(func() error {
		return httpd.Serve(ctx, ln, g.guarded(access), httpd.ServeOptions{Log: g.log, TLS: access.TLS, Read: cmp.Or(g.cfg.ReadTime, time.Minute)})
	})
	defer g.transport.CloseIdleConnections()
	return group.Wait()
}

// guarded is the Handler for those whom access lets in.
func (g *GUI) guarded(access httpd.Access) http.Handler {
	browsers := newLogin(access.Token)
	browsers.hint = access.TokenHint
	access.Refuse = browsers.ask
	return browsers.header(access.Wrap(browsers.remember(g.Handler())))
}

// looking keeps the launches of this machine in the picture until ctx ends.
func (g *GUI) looking(ctx context.Context) error {
	tick := time.NewTicker(g.cfg.Look)
	defer tick.Stop()
	for {
		list, err := launch.List(g.cfg.Here.RuntimeDir)
		if err != nil {
			g.log.Debug("a launch can't be read", "err", err)
		}
		if list != nil { // else nothing is known of any
			g.cluster.look(list)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

type health struct {
	Status   string `json:"status" enum:"ok"`
	Registry string `json:"registry" enum:"none,away,connected"`
}

func (g *GUI) health(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, health{"ok", g.cluster.now(0).standing.State})
}
