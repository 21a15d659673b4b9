package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-resty/resty/v2"
)

// Config is a client's configuration. The zero value talks to the registry on
// this machine.
type Config struct {
	URL     string        // the registry's; DefaultURL when empty
	Token   string        // the bearer token, for a registry on another machine
	TLS     *tls.Config   // for https URLs; trusts the system's roots when nil
	Timeout time.Duration // for a whole request, and for a watch to begin; 5 s when zero
	Connect time.Duration // for connecting alone; 2 s when zero
	Log     *slog.Logger  // silent when nil

	HeartbeatInterval time.Duration // of Announce; 15 s when zero, and never longer than the registry asks for

	Silence      time.Duration // of a watch, after which its connection is given up; 37.5 s when zero, as the registry says something every 15 s
	PollInterval time.Duration // between looks at a registry that can't be watched; 1 s when zero

	// CacheDir is a folder, made when it is missing, where the last answers outlive the client:
	// another one at the same URL has them while the registry is away. There is no token in
	// it. With "", nothing is kept on disk.
	CacheDir string
}

// maxAnswer bounds what is read of an answer: room for 100,000 plain entries.
const maxAnswer = 64 << 20

// Client talks to one registry. It is safe for concurrent use.
type Client struct {
	http    *resty.Client
	streams *http.Client // the same without a limit for the whole
	token   string
	log     *slog.Logger
	here    hosts

	beat      time.Duration // between heartbeats
	timeout   time.Duration // of a request
	silence   time.Duration // of a stream
	pollEvery time.Duration

	disk   *disk // nil keeps nothing
	loaded sync.Once

	mu    sync.Mutex
	known map[string]known // the last answer to each query, by its path
	seen  seen
}

var _ Registrar = (*Client)(nil)

// NewClient makes a client; it does not connect yet. It fails on a URL that can
// be no registry's. The caller calls Close.
func NewClient(cfg Config) (*Client, error) {
	base, err := ParseURL(cmp.Or(cfg.URL, DefaultURL), DefaultURL)
	if err != nil {
		return nil, fmt.Errorf("use the registry %w", err)
	}
	dialer := &net.Dialer{Timeout: cmp.Or(cfg.Connect, 2*time.Second)}
	// A transport of its own: heartbeats must not wait for other traffic's
	// connections, and Close can end these alone.
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     cfg.TLS.Clone(), // a Transport writes to its own; nil stays nil
		TLSHandshakeTimeout: cmp.Or(cfg.Connect, 2*time.Second),
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second,
	}
	timeout := cmp.Or(cfg.Timeout, 5*time.Second)
	rc := resty.NewWithClient(&http.Client{Transport: transport}).
		SetBaseURL(base.String()).
		SetTimeout(timeout).
		SetResponseBodyLimit(maxAnswer).
		SetPreRequestHook(func(_ *resty.Client, r *http.Request) error {
			ShowToken(r, cfg.Token)
			return nil
		}).
		SetLogger(quiet{})
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		http: rc, streams: &http.Client{Transport: transport}, token: cfg.Token, log: log, here: hostsOf(base), known: map[string]known{},
		beat:      cmp.Or(cfg.HeartbeatInterval, HeartbeatInterval),
		timeout:   timeout,
		silence:   cmp.Or(cfg.Silence, 37500*time.Millisecond),
		pollEvery: cmp.Or(cfg.PollInterval, time.Second),
	}
	c.disk = newDisk(cfg.CacheDir, *base, log, c.collect)
	return c, nil
}

// quiet keeps resty from writing to stderr: errors are returned.
type quiet struct{}

func (quiet) Errorf(string, ...any) {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Debugf(string, ...any) {}

// Close frees the client's idle connections, and writes the last answers to Config.CacheDir.
// Call it when no request runs.
func (c *Client) Close() {
	c.http.GetClient().CloseIdleConnections()
	c.disk.close()
}

// Register makes comp known and returns how often the registry wants to hear
// from it. It may be repeated. It fails with ErrSuperseded when a younger
// instance is registered, ErrConflict when another queen is online,
// ErrUnreachable without an answer, and a *Refusal for all that the registry
// does not take.
func (c *Client) Register(ctx context.Context, comp Component) (beat time.Duration, err error) {
	var receipt Receipt
	if err := c.tell(ctx, http.MethodPost, "/v1/registry/register", comp.Form(), &receipt); err != nil {
		return 0, fmt.Errorf("register %s with the registry: %w", comp.ID, err)
	}
	if receipt.Note != "" {
		c.log.Info("the registry changed the registration", "id", comp.ID, "note", receipt.Note)
	}
	return receipt.Beat, nil
}

// Heartbeat says that comp lives. It fails with ErrUnknown when the registry
// has forgotten it, ErrSuperseded when another instance took its place, and
// ErrUnreachable without an answer.
func (c *Client) Heartbeat(ctx context.Context, comp Component) error {
	return c.identified(ctx, http.MethodPost, "/v1/registry/heartbeat", "heartbeat for", comp)
}

// Unregister says that comp is gone. It fails as Heartbeat does.
func (c *Client) Unregister(ctx context.Context, comp Component) error {
	return c.identified(ctx, http.MethodDelete, "/v1/registry/unregister", "unregister", comp)
}

func (c *Client) identified(ctx context.Context, method, path, what string, comp Component) error {
	form := Component{Kind: comp.Kind, ID: comp.ID, InstanceID: comp.InstanceID}.Form()
	var ack Acknowledgement
	if err := c.tell(ctx, method, path, form, &ack); err != nil {
		return fmt.Errorf("%s %s at the registry: %w", what, comp.ID, err)
	}
	return nil
}

// Announce keeps comp known until ctx ends: it registers, beats, registers again when the
// registry has forgotten comp or was started anew, and unregisters at the end. A registry
// that is away is waited for, and so is the end of a later instance of comp. Announcement
// has more to choose.
func (c *Client) Announce(ctx context.Context, comp Component) {
	a := Announcement{To: c, Component: comp, Interval: c.beat, Log: c.log}
	a.Run(ctx)
}

// The hosts in answers are for this machine: what a registry on another one lists as
// localhost is at the registry's host.

// Workers lists the workers that f chooses, by id.
func (c *Client) Workers(ctx context.Context, f Filter) (Answer[[]Entry], error) {
	return query(ctx, c, listWorkers(f))
}

// Hives lists the hives, by id.
func (c *Client) Hives(ctx context.Context) (Answer[[]Entry], error) {
	return query(ctx, c, listHives)
}

// Queen is the queen; its Value is nil when there is none.
func (c *Client) Queen(ctx context.Context) (Answer[*Entry], error) {
	return query(ctx, c, seekQueen)
}

// Components is everything at one revision.
func (c *Client) Components(ctx context.Context) (Answer[Snapshot], error) {
	return query(ctx, c, everything)
}

func (f Filter) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"worker_type": f.WorkerType, "model": f.Model, "status": string(f.Status), "hive": f.Hive,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, value := range f.Metadata {
		v.Set("metadata."+name, value)
	}
	return v
}
