package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/rbee-launch/rbee-launch/registry"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// Config is a client's configuration. The zero value talks to the hive on this machine.
type Config struct {
	URL     string        // the hive's; DefaultURL when empty
	Token   string        // the bearer token, for a hive on another machine
	TLS     *tls.Config   // for https URLs; trusts the system's roots when nil
	Timeout time.Duration // for a whole request, but for streams; 5 s when zero
	// Operations is the path below which they are: a queen has her own, which are alike.
	// "/v1/hive/operations/" when empty.
	Operations string
	Connect    time.Duration // for connecting alone; 2 s when zero
	// Silence is how long a stream may say nothing before it is given up; 40 s when zero:
	// a hive writes a comment every 15 s.
	Silence time.Duration
	// Away is how long Follow tries to come back to a hive of which nothing is heard; as
	// long as its context lasts when zero.
	Away time.Duration
}

// Client talks to one hive. It is safe for concurrent use.
type Client struct {
	cfg    Config
	http   *resty.Client
	stream *http.Client
}

// New makes a client; it does not connect yet. It fails on a URL that can be no hive's.
// The caller calls Close.
func New(cfg Config) (*Client, error) {
	cfg.URL = strings.TrimSuffix(cmp.Or(cfg.URL, DefaultURL), "/")
	cfg.Silence = cmp.Or(cfg.Silence, 40*time.Second)
	cfg.Operations = cmp.Or(cfg.Operations, "/v1/hive/operations/")
	if _, err := registry.ParseURL(cfg.URL, DefaultURL); err != nil {
		return nil, fmt.Errorf("use the hive %w", err)
	}
	connect := cmp.Or(cfg.Connect, 2*time.Second)
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
		TLSClientConfig:     cfg.TLS.Clone(), // a Transport writes to its own; nil stays nil
		TLSHandshakeTimeout: connect,
		IdleConnTimeout:     90 * time.Second,
	}
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	rc := resty.NewWithClient(&http.Client{Transport: transport}).
		SetTimeout(cmp.Or(cfg.Timeout, 5*time.Second)).
		SetResponseBodyLimit(maxAnswer).
		SetRedirectPolicy(resty.RedirectPolicyFunc(noRedirects)).
		SetPreRequestHook(func(_ *resty.Client, r *http.Request) error {
			registry.ShowToken(r, cfg.Token)
			return nil
		}).
		SetLogger(quiet{})
	return &Client{cfg: cfg, http: rc, stream: &http.Client{Transport: transport, CheckRedirect: noRedirects}}, nil
}

// Close frees the client's idle connections. Call it when no request runs.
func (c *Client) Close() { c.http.GetClient().CloseIdleConnections() }

// Spawn asks for a worker, and returns the operation that has begun. It fails with
// registry.ErrUnreachable without an answer, and with a *registry.Refusal for what the
// hive does not take.
func (c *Client) Spawn(ctx context.Context, req SpawnRequest) (Operation, error) {
	var op Operation
	if err := c.call(ctx, http.MethodPost, "/v1/hive/workers", req, &op); err != nil {
		return Operation{}, fmt.Errorf("spawn a worker: %w", err)
	}
	return op, nil
}

// Operation is how an operation stands. It fails as Spawn does.
func (c *Client) Operation(ctx context.Context, id string) (Operation, error) {
	var op Operation
	if err := c.call(ctx, http.MethodGet, c.cfg.Operations+url.PathEscape(id), nil, &op); err != nil {
		return Operation{}, fmt.Errorf("ask for the operation %s: %w", id, err)
	}
	return op, nil
}

// Cancel has an operation end, and does not wait for that. It fails as Spawn does.
func (c *Client) Cancel(ctx context.Context, id string) error {
	if err := c.call(ctx, http.MethodDelete, c.cfg.Operations+url.PathEscape(id), nil, nil); err != nil {
		return fmt.Errorf("cancel the operation %s: %w", id, err)
	}
	return nil
}

// Workers lists the processes that the hive is the parent of, by id.
func (c *Client) Workers(ctx context.Context) ([]WorkerProcess, error) {
	var list []WorkerProcess
	if err := c.call(ctx, http.MethodGet, "/v1/hive/workers", nil, &list); err != nil {
		return nil, fmt.Errorf("list the hive's workers: %w", err)
	}
	return list, nil
}

// Worker is one of the processes that the hive is the parent of. It fails as Spawn does.
func (c *Client) Worker(ctx context.Context, id string) (WorkerProcess, error) {
	var found WorkerProcess
	if err := c.call(ctx, http.MethodGet, "/v1/hive/workers/"+url.PathEscape(id), nil, &found); err != nil {
		return WorkerProcess{}, fmt.Errorf("ask for the worker %s: %w", id, err)
	}
	return found, nil
}

// Stop stops a worker, and returns when nothing of it is left: ctx should have time for
// its grace period. It fails as Spawn does.
func (c *Client) Stop(ctx context.Context, id string) error {
	req, err := c.request(ctx, http.MethodDelete, "/v1/hive/workers/"+url.PathEscape(id))
	if err != nil {
		return fmt.Errorf("stop %s: %w", id, err)
	}
	resp, err := c.stream.Do(req)
	if err != nil {
		return fmt.Errorf("stop %s: %w: %w", id, registry.ErrUnreachable, registry.Untrusted(err))
	}
	defer resp.Body.Close()
	if err := refused(resp); err != nil {
		return fmt.Errorf("stop %s: %w", id, err)
	}
	return nil
}

// Capabilities asks what the hive's machine has, and decodes the answer into into.
func (c *Client) Capabilities(ctx context.Context, into any) error {
	if err := c.call(ctx, http.MethodGet, "/capabilities", nil, into); err != nil {
		return fmt.Errorf("ask a hive what it has: %w", err)
	}
	return nil
}

// call sends one request and decodes a good answer into out, unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	req := c.http.R().SetContext(ctx)
	if body != nil {
		req.SetHeader("Content-Type", "application/json").SetBody(body)
	}
	resp, err := req.Execute(method, c.cfg.URL+path)
	if err != nil {
		return fmt.Errorf("%w at %s: %w", registry.ErrUnreachable, c.cfg.URL, registry.Untrusted(err))
	}
	if !resp.IsSuccess() {
		return registry.ReadRefusal(resp.StatusCode(), resp.Body())
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(resp.Body(), out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.cfg.URL, err)
	}
	return nil
}

// request makes one whose answer takes its time.
func (c *Client) request(ctx context.Context, method, path string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.URL+path, nil)
	if err == nil {
		registry.ShowToken(req, c.cfg.Token)
	}
	return req, err
}

// quiet keeps resty from writing to stderr: errors are returned.
type quiet struct{}

func (quiet) Errorf(string, ...any) {}
func (quiet) Warnf(string, ...any)  {}
func (quiet) Debugf(string, ...any) {}
