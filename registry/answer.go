package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-resty/resty/v2"
)

// Answer is what a query gave: the registry's word of just now, or, when there
// was none to be had, its last one, marked stale.
type Answer[T any] struct {
	Value T
	Stale bool
	AsOf  time.Time // when the registry last said so, by this machine's clock
	Cause error     // why it is stale; nil when it is not
}

// question is one query of the registry.
type question[T any] struct {
	what, path string
	reach      func(hosts, T)   // makes an answer's hosts those for this machine
	from       func(Snapshot) T // is the answer's part of everything, a copy of its own
}

// query asks, and falls back on the last answer. It fails only where there
// never was one.
func query[T any](ctx context.Context, c *Client, q question[T]) (Answer[T], error) {
	last, _ := c.lastKnown(q.path)
	fresh, cause := c.ask(ctx, q.path, last)
	var a Answer[T]
	if cause == nil {
		// An answer that does not decode is no answer, and must not be kept.
		if a.Value, cause = read(c, q, fresh.body); cause == nil {
			c.keep(q.path, fresh)
			a.AsOf = fresh.asOf
			return a, nil
		}
	}
	cause = fmt.Errorf("%s: %w", q.what, cause)
	value, asOf, known := recall(c, q)
	if !known {
		return Answer[T]{}, cause
	}
	return Answer[T]{Value: value, Stale: true, AsOf: asOf, Cause: cause}, nil
}

func read[T any](c *Client, q question[T], body []byte) (value T, err error) {
	if err = decode(body, &value); err == nil {
		q.reach(c.here, value)
	}
	return value, err
}

// ask gets path; an unchanged answer is last with a new date.
func (c *Client) ask(ctx context.Context, path string, last known) (known, error) {
	req := c.http.R()
	if last.etag != "" {
		req.SetHeader("If-None-Match", last.etag)
	}
	resp, err := c.send(ctx, req, http.MethodGet, path)
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Code == CodeNoQueen:
		return known{body: []byte("null"), asOf: time.Now()}, nil
	case err != nil:
		return known{}, err
	case resp.StatusCode() == http.StatusNotModified:
		return known{etag: last.etag, body: last.body, asOf: time.Now()}, nil
	}
	return known{etag: resp.Header().Get("ETag"), body: resp.Body(), asOf: time.Now()}, nil
}

// tell sends body and reads the answer into answer.
func (c *Client) tell(ctx context.Context, method, path string, body, answer any) error {
	resp, err := c.send(ctx, c.http.R().SetBody(body), method, path)
	if err != nil {
		return err
	}
	return decode(resp.Body(), answer)
}

// send gives the answer if it is a good one, else ErrUnreachable or a *Refusal.
func (c *Client) send(ctx context.Context, req *resty.Request, method, path string) (*resty.Response, error) {
	resp, err := req.SetContext(ctx).Execute(method, path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, Untrusted(err))
	}
	switch status := resp.StatusCode(); {
	case status == http.StatusOK, status == http.StatusNotModified:
		return resp, nil
	default:
		return nil, ReadRefusal(status, resp.Body())
	}
}

// decode is strict about JSON because other servers answer any path with a web
// page and status 200.
func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read the registry's answer: %w", err)
	}
	return nil
}
