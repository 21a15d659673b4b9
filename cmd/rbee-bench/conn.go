package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// conn is an HTTP client of one connection that costs less than the server it asks:
// requests are bytes that were made before, and of an answer only what is needed is
// read. It is for one goroutine.
type conn struct {
	addr string
	net  net.Conn // nil when it has to be dialled
	in   *bufio.Reader
	stop func() bool // of the cut

	body []byte // the answer's first bytes, until the next one
	etag []byte // the answer's
}

// answer is what is told of a response.
type answer struct {
	status int
	size   int64 // of the body as it came
	gzip   bool
}

const bodyKept = 512

func newConn(addr string) *conn {
	return &conn{addr: addr, in: bufio.NewReaderSize(nil, 64<<10)}
}

// close is idempotent.
func (c *conn) close() {
	if c.net != nil {
		c.stop()
		_ = c.net.Close()
		c.net = nil
	}
}

// dial connects, unless that is done; the end of ctx cuts the connection.
func (c *conn) dial(ctx context.Context) error {
	if c.net != nil {
		return nil
	}
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	// A deadline for each request would cost about as much as parsing its answer.
	c.stop = context.AfterFunc(ctx, func() { _ = nc.Close() })
	c.net = nc
	c.in.Reset(nc)
	return nil
}

// roundTrip sends the request and reads its answer. After an error the next one dials
// again. The context is the same for all.
func (c *conn) roundTrip(ctx context.Context, request []byte) (answer, error) {
	if err := c.dial(ctx); err != nil {
		return answer{}, err
	}
	_, err := c.net.Write(request)
	var a answer
	if err == nil {
		a, err = c.read()
	}
	if err != nil {
		c.close()
		if ctx.Err() != nil {
			err = fmt.Errorf("not answered: %w", ctx.Err())
		}
	}
	return a, err
}

func (c *conn) read() (answer, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return answer{}, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return answer{}, fmt.Errorf("%q is no status line", line)
	}
	var a answer
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return answer{}, fmt.Errorf("%q is no status line", line)
	}
	length, err := c.header(&a)
	if err != nil {
		return answer{}, err
	}
	c.body = c.body[:0]
	switch {
	case a.status == 304 || a.status == 204:
	case length >= 0:
		a.size, err = length, c.take(length)
	default:
		a.size, err = c.chunks()
	}
	return a, err
}

// header reads the fields; a length below zero means that the body comes in chunks,
// which is all that an HTTP/1.1 server does without a length on a connection it keeps.
func (c *conn) header(a *answer) (length int64, err error) {
	length = -1
	c.etag = c.etag[:0]
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return 0, err
			}
		case is(name, "etag"):
			c.etag = append(c.etag, value...)
		case is(name, "content-encoding"):
			a.gzip = string(value) == "gzip"
		}
	}
}

func is(name []byte, lower string) bool {
	return len(name) == len(lower) && bytes.EqualFold(name, []byte(lower))
}

// chunks reads a chunked body with its end.
func (c *conn) chunks() (size int64, err error) {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return size, err
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 64)
		if err != nil {
			return size, err
		}
		if err := c.take(n); err != nil {
			return size, err
		}
		size += n
		if _, err := c.in.Discard(len("\r\n")); err != nil {
			return size, err
		}
		if n == 0 {
			return size, nil
		}
	}
}

// take reads n bytes of a body, and keeps the first.
func (c *conn) take(n int64) error {
	if room := int64(bodyKept - len(c.body)); room > 0 && n > 0 {
		first, err := c.in.Peek(int(min(n, room)))
		c.body = append(c.body, first...)
		if err != nil {
			return err
		}
	}
	_, err := c.in.Discard(int(n))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
