package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// contender is a server that is measured.
type contender interface {
	name() string
	// client opens a client for one goroutine. The error is errNotOffered where the
	// server has nothing of the kind.
	client(ctx context.Context, o op) (client, error)
	// watch opens watchers that call saw for each component that is registered, and
	// returns when all are there. They end with ctx, after which wait returns.
	watch(ctx context.Context, watchers int, saw func(watcher int, number int64)) (wait func(), err error)
	usage(ctx context.Context) (usage, error)
	stop() error
}

// client makes one kind of request over a connection of its own.
type client interface {
	// do makes the i-th request; all have the context that the client was opened with.
	do(ctx context.Context, i int64) error
	size() int64 // bytes of the last answer
	close()
}

var errNotOffered = errors.New("not offered")

type kind int

const (
	register kind = iota
	heartbeat
	list
	hives  // a list of which there are none: as small as a query gets
	health // the registry's revision
)

// op is a kind of request. The i-th is about the components from first+i*batch on, of
// known ones, over and over.
type op struct {
	kind  kind
	batch int // components in one request; 0 is one, without what wraps a batch
	first int64
	known int64

	accept string // of a list: gzip, or "" for plain
	cached bool   // of a list: asked with the tag of the one before
}

// each is how many components one request is about.
func (o op) each() int64 { return int64(max(o.batch, 1)) }

// httpContender is one that speaks the registry's protocol.
type httpContender struct {
	*child
	called string
}

func (h httpContender) name() string { return h.called }

func (h httpContender) client(ctx context.Context, o op) (client, error) {
	c := &httpClient{op: o, conn: newConn(h.addr), want: 200}
	switch o.kind {
	case register:
		c.mold = newMold("POST", "/v1/registry/register", registration, o.batch)
	case heartbeat:
		c.mold = newMold("POST", "/v1/registry/heartbeat", beat, o.batch)
	case list:
		return c, c.prepareList(ctx)
	case hives:
		c.request = httpRequest("GET", "/v1/registry/hives", "", "")
	case health:
		c.request = httpRequest("GET", "/health", "", "")
	}
	return c, nil
}

type httpClient struct {
	op      op
	conn    *conn
	mold    *mold  // nil: every request is the same
	request []byte // the one
	want    int    // the status
	last    answer
}

func (c *httpClient) close()      { c.conn.close() }
func (c *httpClient) size() int64 { return c.last.size }

// prepareList asks once, to see whether what is wanted of the list is there.
func (c *httpClient) prepareList(ctx context.Context) error {
	const path = "/v1/registry/workers"
	header := ""
	if c.op.accept != "" {
		header += "Accept-Encoding: " + c.op.accept + "\r\n"
	}
	c.request = httpRequest("GET", path, "", header)
	err := c.do(ctx, 0)
	switch {
	case err != nil:
	case c.op.accept == "gzip" && !c.last.gzip:
		err = fmt.Errorf("compressed lists are %w", errNotOffered)
	case c.op.cached && len(c.conn.etag) == 0:
		err = fmt.Errorf("lists with a tag are %w", errNotOffered)
	case c.op.cached:
		header += "If-None-Match: " + string(c.conn.etag) + "\r\n"
		c.request = httpRequest("GET", path, "", header)
		c.want = 304
	}
	if err != nil {
		c.close()
	}
	return err
}

// do makes the i-th request. An answer that is not the one wanted is an error.
func (c *httpClient) do(ctx context.Context, i int64) error {
	request := c.request
	if c.mold != nil {
		request = c.mold.fill(c.op.first+i*c.op.each(), c.op.known)
	}
	var err error
	if c.last, err = c.conn.roundTrip(ctx, request); err != nil {
		return err
	}
	switch {
	case c.last.status != c.want:
		return fmt.Errorf("answered %d: %.100s", c.last.status, c.conn.body)
	case c.op.batch > 0 && c.op.kind == heartbeat && bytes.Contains(c.conn.body, []byte(`"unknown":[{`)):
		return fmt.Errorf("knows some of a batch no more: %.100s", c.conn.body)
	}
	return nil
}
