package server

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Config is a registry's configuration. The zero value is the usual one.
type Config struct {
	OnlineWindow  time.Duration // a component silent for longer is offline; 30 s when zero
	RemoveAfter   time.Duration // one silent for this long is forgotten; 90 s when zero; under OnlineWindow it is that
	MaxComponents int           // 10,000 when zero; more are refused with 503

	Token     string   // the bearer token asked of callers beyond loopback; empty refuses them all
	TokenHint string   // where to find the token, for the 401's text
	Hosts     []string // host names that requests may name, beyond those httpd.Access knows

	Log *slog.Logger // silent when nil
}

// Server is one life of a registry.
type Server struct {
	table   *table
	epoch   string // names this life; revisions of two lives can't be compared
	beat    time.Duration
	changes chan change // for Run's log; full means that some go unlogged
	log     *slog.Logger
}

// New makes an empty registry. It needs Run to notice what becomes silent.
func New(cfg Config) *Server {
	s := &Server{
		epoch:   ulid.Make().String(),
		changes: make(chan change, 256),
		log:     cfg.Log,
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	l := limits{
		online: cmp.Or(cfg.OnlineWindow, 30*time.Second),
		remove: cmp.Or(cfg.RemoveAfter, 90*time.Second),
	}
	s.beat = l.online / 2
	s.table = &table{
		limits:  l,
		max:     cmp.Or(cfg.MaxComponents, 10_000),
		notify:  s.notify,
		entries: map[key]*registry.Entry{},
	}
	return s
}

// Run notices who has become silent, until ctx ends; then it returns nil.
func (s *Server) Run(ctx context.Context) error {
	// Requests advance the table too. The ticks are for what happens between
	// them, and often enough that a gap means that the registry was stalled.
	tick := time.NewTicker(min(time.Second, max(s.table.online/20, time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.table.sweep(time.Now())
		case c := <-s.changes:
			s.log.Info("component "+c.op, "type", c.entry.Kind, "id", c.entry.ID, "instance", c.entry.InstanceID,
				"host", c.entry.Hostname, "port", c.entry.Port, "revision", c.revision)
		}
	}
}

func (s *Server) notify(c change) {
	select {
	case s.changes <- c:
	default: // a log that can't keep up must not hold the table
	}
}

// Handler is the API, open to every caller: wrap it in httpd.Access.
func (s *Server) Handler() http.Handler {
	return httpd.Routes(s.log, []httpd.Route{
		{Method: "POST", Path: "/v1/registry/register", Handler: s.register},
		{Method: "DELETE", Path: "/v1/registry/unregister", Handler: s.unregister},
		{Method: "POST", Path: "/v1/registry/heartbeat", Handler: s.heartbeat},
		{Method: "GET", Path: "/v1/registry/hives", Handler: s.hives},
		{Method: "GET", Path: "/v1/registry/workers", Handler: s.workers},
		{Method: "GET", Path: "/v1/registry/queen", Handler: s.queen},
		{Method: "GET", Path: "/v1/registry/components", Handler: s.components},
		{Method: "GET", Path: "/health", Handler: s.health},
	})
}

// Run is a whole registry on ln until ctx ends: access, API, expiry, and the
// draining of running requests at the end, which is no error. It closes ln.
func Run(ctx context.Context, ln net.Listener, cfg Config) error {
	s := New(cfg)
	access := httpd.Access{Token: cfg.Token, TokenHint: cfg.TokenHint, Hosts: cfg.Hosts}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { return httpd.Serve(ctx, ln, access.Wrap(s.Handler()), httpd.ServeOptions{Log: s.log}) })
	return g.Wait()
}
