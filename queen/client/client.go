package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// maxAnswer bounds what is read of an answer: the list of many workers.
const maxAnswer = 16 << 20

// Config is a client's configuration. The zero value talks to the queen on this
// machine.
type Config struct {
	URL       string                                    // the queen's; when empty, Find is asked
	Find      func(ctx context.Context) (string, error) // where the queen is now, asked at every attempt; Default when nil
	SpawnedBy string                                    // who starts the workers: "gui", "hive-NAME"; a component's metadata may say otherwise
	Token     string                                    // the bearer token, for a queen on another machine
	TLS       *tls.Config                               // for https URLs; trusts the system's roots when nil
	Timeout   time.Duration                             // for a whole request; 5 s when zero
	Connect   time.Duration                             // for connecting alone; 2 s when zero
	Log       *slog.Logger                              // silent when nil
}

// Client talks to the queen. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *resty.Client
}

var _ registry.Registrar = (*Client)(nil)

// New makes a client; it does not connect yet. It fails on a URL that can be no
// queen's. The caller calls Close.
func New(cfg Config) (*Client, error) {
	if cfg.URL != "" {
		if _, err := registry.ParseURL(cfg.URL, DefaultURL); err != nil {
			return nil, fmt.Errorf("use the queen %w", err)
		}
		cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	}
	if cfg.Find == nil {
		cfg.Find = Default
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	connect := cmp.Or(cfg.Connect, 2*time.Second)
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig:     cfg.TLS.Clone(), // a Transport writes to its own; nil stays nil
		TLSHandshakeTimeout: connect,
		IdleConnTimeout:     90 * time.Second,
	}
	rc := resty.NewWithClient(&http.Client{Transport: transport}).
		SetTimeout(cmp.Or(cfg.Timeout, 5*time.Second)).
		SetResponseBodyLimit(maxAnswer).
		SetRedirectPolicy(resty.NoRedirectPolicy()). // an address that moves is found again, not followed
		SetPreRequestHook(func(_ *resty.Client, r *http.Request) error {
			registry.ShowToken(r, cfg.Token)
			return nil
		}).
		SetLogger(quiet{})
	return &Client{cfg: cfg, http: rc}, nil
}

// Close frees the client's idle connections. Call it when no request runs.
func (c *Client) Close() { c.http.GetClient().CloseIdleConnections() }

// Default finds the queen at DefaultURL.
func Default(context.Context) (string, error) { return DefaultURL, nil }

// Through finds the queen that the registry knows, else at DefaultURL: she may
// be there without a registry. While the registry is away, where she was last known to
// be counts. It fails where there is a registry, and its certificate is not trusted.
func Through(reg *registry.Client) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		answer, err := reg.Queen(ctx)
		switch {
		case errors.Is(err, registry.ErrUntrusted):
			return "", err
		case err != nil || answer.Value == nil:
			return DefaultURL, nil
		}
		return answer.Value.URL(), nil
	}
}

// Register makes the worker c known and returns how often the queen wants to
// hear from it. It may be repeated. It fails with registry.ErrSuperseded when a
// younger instance is known, registry.ErrUnreachable without an answer, and a
// *registry.Refusal for all that the queen does not take.
func (c *Client) Register(ctx context.Context, comp registry.Component) (beat time.Duration, err error) {
	var receipt Receipt
	if err := c.call(ctx, http.MethodPost, "/v1/queen/register-worker", c.registration(comp), &receipt); err != nil {
		return 0, fmt.Errorf("register %s with the queen: %w", comp.ID, err)
	}
	if receipt.Note != "" {
		c.cfg.Log.Info("the queen changed the registration", "id", comp.ID, "note", receipt.Note)
	}
	return time.Duration(receipt.HeartbeatSeconds * float64(time.Second)), nil
}

func (c *Client) registration(comp registry.Component) Registration {
	spawner, told := comp.Metadata["spawned_by"].(string)
	if !told {
		spawner = c.cfg.SpawnedBy
	}
	return Registration{
		WorkerID: comp.ID, InstanceID: comp.InstanceID, Hostname: comp.Hostname, Port: comp.Port,
		WorkerType: comp.WorkerType, Model: comp.Model, SpawnedBy: spawner, Metadata: comp.Metadata,
	}
}

// Heartbeat says that the worker c lives. It fails with registry.ErrUnknown when
// the queen does not know it, registry.ErrSuperseded when another instance took
// its place, and registry.ErrUnreachable without an answer.
func (c *Client) Heartbeat(ctx context.Context, comp registry.Component) error {
	err := c.call(ctx, http.MethodPost, "/v1/queen/heartbeat", Beat{WorkerID: comp.ID, InstanceID: comp.InstanceID}, nil)
	if err != nil {
		return fmt.Errorf("heartbeat for %s at the queen: %w", comp.ID, err)
	}
	return nil
}

// Unregister says that the worker c is gone. It fails as Heartbeat does.
func (c *Client) Unregister(ctx context.Context, comp registry.Component) error {
	path := "/v1/queen/workers/" + url.PathEscape(comp.ID)
	if comp.InstanceID != "" {
		path += "?" + url.Values{"instance_id": {comp.InstanceID}}.Encode()
	}
	if err := c.call(ctx, http.MethodDelete, path, nil, nil); err != nil {
		return fmt.Errorf("unregister %s at the queen: %w", comp.ID, err)
	}
	return nil
}

// Workers lists the workers that the queen knows, by id.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	var list []Worker
	if err := c.call(ctx, http.MethodGet, "/v1/queen/workers", nil, &list); err != nil {
		return nil, fmt.Errorf("list the queen's workers: %w", err)
	}
	return list, nil
}

// Spawn has a hive spawn a worker, and returns the operation that has begun. It fails with
// registry.ErrUnreachable without an answer, and with a *registry.Refusal for what she or
// the hive does not take.
func (c *Client) Spawn(ctx context.Context, job Job) (hive.Operation, error) {
	var op hive.Operation
	if err := c.call(ctx, http.MethodPost, "/v1/queen/spawn-worker", job, &op); err != nil {
		return hive.Operation{}, fmt.Errorf("spawn a worker: %w", err)
	}
	return op, nil
}

// Operations is a client of her operations alone: to follow and to cancel them. The caller
// closes it.
func (c *Client) Operations(ctx context.Context) (*hive.Client, error) {
	base, err := c.base(ctx)
	if err != nil {
		return nil, err
	}
	return hive.New(hive.Config{URL: base, Token: c.cfg.Token, TLS: c.cfg.TLS, Operations: "/v1/queen/operations/"})
}

// base is where she is.
func (c *Client) base(ctx context.Context) (string, error) {
	if c.cfg.URL != "" {
		return c.cfg.URL, nil
	}
	found, err := c.cfg.Find(ctx)
	if err != nil {
		return "", fmt.Errorf("ask for the queen: %w", err)
	}
	return strings.TrimSuffix(found, "/"), nil
}

// call sends one request and decodes a good answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	base, err := c.base(ctx)
	if err != nil {
		return err
	}
	req := c.http.R().SetContext(ctx)
	if body != nil {
		req.SetHeader("Content-Type", "application/json").SetBody(body)
	}
	resp, err := req.Execute(method, base+path)
	if err != nil {
		return fmt.Errorf("%w at %s: %w", registry.ErrUnreachable, base, registry.Untrusted(err))
	}
	if !resp.IsSuccess() {
		return registry.ReadRefusal(resp.StatusCode(), resp.Body())
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(resp.Body(), out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", base, err)
	}
	return nil
}

// quiet keeps resty from writing to stderr: errors are returned.
type quiet struct{}

func (quiet) Errorf(string, ...any) {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Debugf(string, ...any) {}
