package queen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/registry"
)

// maxCapabilities bounds what is read of one answer.
const maxCapabilities = 256 << 10

// errNone: the member has no capabilities to tell, and never will.
var errNone = errors.New("it has no /capabilities")

// fetching asks members for their capabilities until ctx ends: at once when one
// registers (see hurry), and every now and then those that did not answer.
func (q *Queen) fetching(ctx context.Context) error {
	ask := q.asker()
	tick := time.NewTicker(min(time.Second, max(q.cfg.FetchRetry, time.Millisecond)))
	defer tick.Stop()
	var g errgroup.Group
	g.SetLimit(q.cfg.FetchAtOnce)
	defer func() { _ = g.Wait() }() // its functions return no errors
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-q.hurried:
		case <-tick.C:
		}
		for _, m := range q.table.due(time.Now()) {
			g.Go(func() error { q.fetch(ctx, ask, m); return nil })
		}
	}
}

// asker goes to the address that a member told and nowhere else: no redirects, no
// proxy that would reach what we can't, and no connections kept.
func (q *Queen) asker() *http.Client {
	return &http.Client{
		Timeout:       q.cfg.FetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: q.cfg.TLS.Clone(), MaxResponseHeaderBytes: 32 << 10},
	}
}

// hurry has fetching look at once.
func (q *Queen) hurry() {
	select {
	case q.hurried <- struct{}{}:
	default: // it will look anyway
	}
}

func (q *Queen) fetch(ctx context.Context, ask *http.Client, m member) {
	caps, err := q.fetchCapabilities(ctx, ask, m.Component)
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		q.log.Info("capabilities known", "type", m.Kind, "id", m.ID)
	case m.ask.tried.IsZero() && errors.Is(err, registry.ErrUntrusted):
		q.log.Warn("the certificate is not trusted: going on trying", "type", m.Kind, "id", m.ID, "err", err)
	default:
		q.log.Debug("no capabilities", "type", m.Kind, "id", m.ID, "err", err)
	}
	q.table.answered(time.Now(), m, caps, err == nil || errors.Is(err, errNone))
}

func (q *Queen) fetchCapabilities(ctx context.Context, ask *http.Client, c registry.Component) (map[string]any, error) {
	if !registry.ValidHost(c.Hostname) {
		return nil, fmt.Errorf("fetch the capabilities of %s: %q is no host: %w", c.ID, c.Hostname, errNone)
	}
	at := c.URL() + "/capabilities"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch the capabilities of %s: %w", c.ID, err)
	}
	registry.ShowToken(req, q.cfg.Token)
	resp, err := ask.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch the capabilities of %s: %w", c.ID, registry.Untrusted(err))
	}
	defer resp.Body.Close()
	caps, err := readCapabilities(resp)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", at, err)
	}
	return caps, nil
}

// readCapabilities takes a JSON object and nothing else. An answer that says
// "busy" or "failed" may be another one later; all others are final.
func readCapabilities(resp *http.Response) (caps map[string]any, err error) {
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented:
		return nil, errors.New(resp.Status)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %w", resp.Status, errNone)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCapabilities+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxCapabilities:
		return nil, fmt.Errorf("over %d bytes: %w", maxCapabilities, errNone)
	case json.Unmarshal(body, &caps) != nil || caps == nil:
		return nil, fmt.Errorf("no JSON object: %w", errNone) // such as a web page with status 200
	}
	return caps, nil
}
