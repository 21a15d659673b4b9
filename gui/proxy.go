package gui

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/dial"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/operation"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

// The stable codes of what can't be passed on.
const (
	codeNoQueen     = "no_queen"
	codeUnknown     = "unknown_component"
	codeUnreachable = "unreachable"
)

// passedRoutes are all that is passed on to others: nothing else of theirs is reached
// through us.
func (g *GUI) passedRoutes() []httpd.Route {
	const hive, queen, worker = hiveBase + "{id}", queenBase + "/v1", "/api/workers/{id}/v1"
	return []httpd.Route{
		{Method: "GET", Path: hive + "/capabilities", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/workers", Handler: g.toHive},
		{Method: "POST", Path: hive + "/v1/hive/workers", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/workers/{worker}", Handler: g.toHive},
		{Method: "DELETE", Path: hive + "/v1/hive/workers/{worker}", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/workers/{worker}/logs", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/workers/{worker}/usage", Handler: g.toHive},
		{Method: "POST", Path: hive + "/v1/hive/workers/{worker}/restart", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/operations", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/operations/{operation}", Handler: g.toHive},
		{Method: "DELETE", Path: hive + "/v1/hive/operations/{operation}", Handler: g.toHive},
		{Method: "GET", Path: hive + "/v1/hive/operations/{operation}/events", Handler: g.toHive},

		{Method: "POST", Path: queen + "/queen/spawn-worker", Handler: g.toQueen},
		{Method: "GET", Path: queen + "/queen/operations", Handler: g.toQueen},
		{Method: "GET", Path: queen + "/queen/operations/{operation}", Handler: g.toQueen},
		{Method: "DELETE", Path: queen + "/queen/operations/{operation}", Handler: g.toQueen},
		{Method: "GET", Path: queen + "/queen/operations/{operation}/events", Handler: g.toQueen},
		{Method: "GET", Path: queen + "/models", Handler: g.toQueen},
		{Method: "POST", Path: queen + "/chat/completions", Handler: g.toQueen},

		{Method: "GET", Path: worker + "/models", Handler: g.toWorker},
		{Method: "POST", Path: worker + "/chat/completions", Handler: g.toWorker},
		{Method: "POST", Path: worker + "/completions", Handler: g.toWorker},
		{Method: "POST", Path: worker + "/embeddings", Handler: g.toWorker},
	}
}

// toHive passes on what a hive's API has to do with its workers.
func (g *GUI) toHive(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	c := g.cluster.find(registry.Hive, id)
	if c == nil {
		return httpd.Errorf(http.StatusNotFound, codeUnknown, "hive %q is not known", id)
	}
	return g.passOn(w, r, c.URL, rest(r, 3))
}

// toWorker passes on what is said to a worker, straight to it.
func (g *GUI) toWorker(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	c := g.cluster.find(registry.Worker, id)
	switch {
	case c == nil:
		return httpd.Errorf(http.StatusNotFound, codeUnknown, "worker %q is not known", id)
	case c.URL == "":
		return httpd.Errorf(http.StatusServiceUnavailable, codeUnreachable, "worker %q, which is %s, has no address yet", id, c.Status)
	}
	return g.passOn(w, r, c.URL, rest(r, 3))
}

// toQueen passes on what the queen is for.
func (g *GUI) toQueen(w http.ResponseWriter, r *http.Request) error {
	at := g.queen()
	if at == "" {
		return httpd.Errorf(http.StatusServiceUnavailable, codeNoQueen, "there is no queen: %s", g.whyNoQueen())
	}
	return g.passOn(w, r, at, rest(r, 2))
}

// rest is the request's path without its first parts, and still escaped: an id may have
// slashes in it.
func rest(r *http.Request, parts int) string {
	return "/" + strings.SplitN(r.URL.EscapedPath(), "/", parts+2)[parts+1]
}

// passOn has a request go on to another server, as it is but for its address: to that
// path, which is escaped. What tells of the page or its user stays here.
func (g *GUI) passOn(w http.ResponseWriter, r *http.Request, to, path string) error {
	target, err := url.Parse(to)
	if err == nil {
		target, err = target.Parse(path)
	}
	if err != nil { // a component may claim any host
		return httpd.Errorf(http.StatusBadGateway, codeUnreachable, "there is no way to %s: %v", to, err)
	}
	// Read to its end first: where an answer begins before that, net/http may cut it.
	body, err := httpd.ReadBody(w, r, httpd.MaxPrompt)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	own := strings.TrimSuffix(r.URL.EscapedPath(), path) // where the other one's paths begin, here
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			query := p.Out.URL.RawQuery
			p.Out.URL, p.Out.Host = target, target.Host
			p.Out.URL.RawQuery = query
			for _, name := range []string{"Cookie", "Origin", "Referer", "Authorization", "Upgrade", "Connection"} {
				p.Out.Header.Del(name)
			}
			p.Out.Header.Set(operation.PrefixHeader, own)
			registry.ShowToken(p.Out, g.cfg.Token)
		},
		ModifyResponse: func(resp *http.Response) error {
			at := resp.Header.Get("Location")
			tame(resp.Header)
			if resp.StatusCode == http.StatusAccepted && strings.HasPrefix(at, own+"/") { // of what was begun; no redirect
				resp.Header.Set("Location", at)
			}
			return nil
		},
		Transport:     g.transport,
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			httpd.WriteProblem(w, httpd.Errorf(http.StatusBadGateway, codeUnreachable, "%s does not answer: %v", to, registry.Untrusted(err)))
		},
		ErrorLog: g.proxyLog,
	}
	proxy.ServeHTTP(w, r) // panics, as it must, where an answer breaks off: so does ours then
	return nil
}

// tame leaves an answer what is data. A component is not the page: it gives the browser no
// cookies and no orders, and what it says is no document that could act as the page does.
func tame(h http.Header) {
	for name := range h {
		if !slices.Contains(harmless, name) {
			h.Del(name)
		}
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
}

var harmless = []string{
	"Cache-Control", "Content-Encoding", "Content-Length", "Content-Type", "Date", "Retry-After", "X-Accel-Buffering",
}

// transport keeps no connection for long: model servers close theirs early.
func transport(trust *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:        dial.Dialer{Connect: 3 * time.Second}.DialContext,
		TLSClientConfig:    trust.Clone(), // a Transport writes to its own; nil stays nil
		DisableCompression: true,
		IdleConnTimeout:    3 * time.Second,
	}
}

// queen is where she is; "" where none is known.
func (g *GUI) queen() string {
	if g.cfg.QueenURL != nil {
		return *g.cfg.QueenURL
	}
	if q := g.cluster.queen(); q != nil {
		return q.URL
	}
	if g.cfg.RegistryURL == "" {
		return queen.DefaultURL
	}
	return ""
}

func (g *GUI) whyNoQueen() string {
	if g.cfg.QueenURL != nil {
		return "this page was started with an empty --queen-url"
	}
	return "the registry knows of none"
}
