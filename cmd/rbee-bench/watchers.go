package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// watch opens so many streams, and reads each until ctx ends. It returns when each has
// its first event, which is a reset.
func (h httpContender) watch(ctx context.Context, watchers int, saw func(watcher int, number int64)) (wait func(), err error) {
	var (
		wg    sync.WaitGroup
		conns []*conn
		ready = make(chan error, watchers)
	)
	wait = func() {
		for _, c := range conns {
			c.close()
		}
		wg.Wait()
	}
	for i := range watchers {
		stream, c, err := h.stream(ctx)
		if err != nil {
			wait()
			return nil, err
		}
		conns = append(conns, c)
		wg.Go(func() { follow(stream, ready, func(number int64) { saw(i, number) }) })
	}
	for range watchers {
		if err := <-ready; err != nil {
			wait()
			return nil, err
		}
	}
	return wait, nil
}

// stream asks for the events and reads the answer's header.
func (h httpContender) stream(ctx context.Context) (io.Reader, *conn, error) {
	c := newConn(h.addr)
	c.in = bufio.NewReader(nil) // there are many, and what they read is short
	err := c.dial(ctx)
	if err == nil {
		_, err = c.net.Write(httpRequest("GET", "/v1/registry/watch", "", "Accept: text/event-stream\r\n"))
	}
	var answer *http.Response
	if err == nil {
		answer, err = http.ReadResponse(c.in, nil)
	}
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("a watch answered %d", answer.StatusCode)
		if answer.StatusCode == http.StatusNotFound {
			err = fmt.Errorf("%w (404)", errNotOffered)
		}
	}
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return answer.Body, c, nil
}

// follow reads server-sent events, and says on ready whether the first one came.
func follow(stream io.Reader, ready chan<- error, saw func(number int64)) {
	told := false
	tell := func(err error) {
		if !told {
			told = true
			ready <- err
		}
	}
	in := bufio.NewReader(stream)
	event, change := false, false
	for {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long {
			tell(fmt.Errorf("a watch ended: %w", err))
			return
		}
		name, named := bytes.CutPrefix(line, []byte("event:"))
		data, hasData := bytes.CutPrefix(line, []byte("data:"))
		switch {
		case named:
			event, change = true, string(bytes.TrimSpace(name)) == "change"
		case hasData && change:
			if number := numberIn(data); number >= 0 {
				saw(number)
			}
		case event && len(bytes.TrimSpace(line)) == 0:
			tell(nil)
		}
		for long { // a snapshot: nobody counts what is in it
			_, err = in.ReadSlice('\n')
			long = errors.Is(err, bufio.ErrBufferFull)
		}
	}
}
