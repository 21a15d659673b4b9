package server

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
)

// Config is a registry's configuration. The zero value is the usual one.
type Config struct {
	OnlineWindow  time.Duration // a component silent for longer is offline; 30 s when zero
	RemoveAfter   time.Duration // one silent for this long is forgotten; 90 s when zero; under OnlineWindow it is that
	MaxComponents int           // 100,000 when zero; more are refused with 503. Their JSON may have 2 KiB each, together
	MaxPerAddress int           // components registered from one other machine; 4,096 when zero; more are refused with 429
	MaxWatchers   int           // who watch or poll; 20,000 when zero; more are refused with 503

	// How long a client may take: to send a request's header, 10 s when zero; to send its
	// body, 30 s; to take the answer, 1 min; and to take each piece of a stream, 10 s.
	HeaderTime, ReadTime, WriteTime, Patience time.Duration

	Access httpd.Access // who may call; the zero value takes loopback callers alone
	Log    *slog.Logger // silent when nil
}

// Server is one life of a registry.
type Server struct {
	clock   clock
	store   store
	table   *table   // the store, as Run keeps it going
	journal *journal // of the store's changes
	epoch   string   // names this life; revisions of two lives can't be compared
	beat    time.Duration
	counts  *counts
	log     *slog.Logger

	maxWatchers int
	patience    time.Duration
	answerTime  time.Duration
	watching    atomic.Int64
	leaving     chan struct{} // closed when those who watch are to come back later
	leave       func()
}

// What is kept for those who follow the changes: so many, and of so many bytes together.
const (
	keptChanges = 16 << 10
	keptBytes   = 64 << 20
)

// New makes an empty registry. It needs Run to notice what becomes silent.
func New(cfg Config) *Server {
	s := &Server{
		clock:       clock{start: time.Now(), wall: time.Now},
		journal:     newJournal(keptChanges, keptBytes),
		epoch:       ulid.Make().String(),
		log:         cfg.Log,
		maxWatchers: cmp.Or(cfg.MaxWatchers, 20_000),
		patience:    cmp.Or(cfg.Patience, 10*time.Second),
		answerTime:  cmp.Or(cfg.WriteTime, time.Minute),
		leaving:     make(chan struct{}),
	}
	s.leave = sync.OnceFunc(func() { close(s.leaving) })
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	l := limits{
		online: cmp.Or(cfg.OnlineWindow, 30*time.Second),
		remove: cmp.Or(cfg.RemoveAfter, 90*time.Second),
	}
	s.beat = l.online / 2
	s.table = newTable(l, s.clock, s.journal)
	s.table.max = cmp.Or(cfg.MaxComponents, 100_000)
	s.table.maxBytes = s.table.max * (2 << 10)
	s.table.perAddress = cmp.Or(cfg.MaxPerAddress, 4096)
	s.store = s.table
	s.counts = newCounts(s)
	return s
}

// Run notices who has become silent, until ctx ends. Then it tells those who watch to come
// back later, and returns nil.
func (s *Server) Run(ctx context.Context) error {
	defer s.leave()
	var logging sync.WaitGroup
	logging.Go(func() { s.logChanges(ctx) })
	defer logging.Wait()
	// Requests advance the table too. The ticks are for what happens between
	// them, and often enough that a gap means that the registry was stalled.
	longest := min(time.Second, max(s.table.online/20, time.Millisecond))
	for {
		again, when := s.table.tick()
		wait := longest
		if when != 0 {
			wait = max(min(longest, when-s.clock.now()), 0)
		}
		if again {
			// Many are due. A pause between one lot and the next lets requests in, also where
			// there is one processor.
			wait = breather
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// breather is about as long as a lot takes.
const breather = 500 * time.Microsecond

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// logBurst is how many changes are logged one by one before the rest is counted.
const logBurst = 64

// logChanges tells the log and the metrics what changes.
func (s *Server) logChanges(ctx context.Context) {
	var reached uint64
	some := make([]*change, 0, 4*together)
	for logged := 0; ; {
		found, grown, kept := s.journal.after(reached, some)
		switch {
		case !kept:
			reached = s.store.current().revision
			s.log.Warn("too much changed to log it", "revision", reached)
			continue
		case len(found) == 0:
			select {
			case <-grown:
			case <-ctx.Done():
				return
			}
			logged = 0
			continue
		}
		for _, c := range found {
			reached = c.revision
			s.counts.changes.WithLabelValues(string(c.op)).Inc()
			if logged++; logged <= logBurst {
				r := c.record()
				s.log.Info("component "+string(c.op), "type", r.Kind, "id", r.ID, "instance", r.InstanceID,
					"host", r.Hostname, "port", r.Port, "revision", c.revision)
			}
		}
		if logged > logBurst {
			s.log.Info("components changed", "count", len(found), "revision", reached)
		}
	}
}

// Handler is the API, open to every caller: wrap it in httpd.Access.
func (s *Server) Handler() http.Handler {
	return httpd.Routes(s.log, openapi.With(info(), s.routes()))
}

func (s *Server) routes() []httpd.Route {
	return []httpd.Route{
		{Method: "POST", Path: "/v1/registry/register", Handler: s.register, Doc: registerDoc()},
		{Method: "DELETE", Path: "/v1/registry/unregister", Handler: s.unregister, Doc: unregisterDoc()},
		{Method: "POST", Path: "/v1/registry/heartbeat", Handler: s.heartbeat, Doc: heartbeatDoc()},
		{Method: "GET", Path: "/v1/registry/hives", Handler: s.hives, Doc: listDoc("hives")},
		{Method: "GET", Path: "/v1/registry/workers", Handler: s.workers, Doc: listDoc("workers")},
		{Method: "GET", Path: "/v1/registry/queen", Handler: s.queen, Doc: queenDoc()},
		{Method: "GET", Path: "/v1/registry/components", Handler: s.components, Doc: componentsDoc()},
		{Method: "GET", Path: "/v1/registry/watch", Handler: s.watch, Doc: watchDoc()},
		{Method: "GET", Path: "/v1/registry/prometheus-sd", Handler: s.targets, Doc: targetsDoc()},
		{Method: "GET", Path: "/{$}", Handler: s.page, Doc: pageDoc()},
		{Method: "GET", Path: "/health", Handler: s.health, Doc: healthDoc()},
		{Method: "GET", Path: "/metrics", Handler: s.counts.serve, Doc: scrape.Doc()},
	}
}

// Run is a whole registry on ln until ctx ends: access, API, expiry, and the
// draining of running requests at the end, which is no error. It closes ln.
func Run(ctx context.Context, ln net.Listener, cfg Config) error {
	s := New(cfg)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error {
		return httpd.Serve(ctx, ln, cfg.Access.Wrap(s.Handler()), httpd.ServeOptions{
			Log: s.log, TLS: cfg.Access.TLS, Header: cfg.HeaderTime, Read: cfg.ReadTime, Write: s.answerTime,
		})
	})
	return g.Wait()
}
