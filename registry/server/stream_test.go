package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

// event is one of a stream's events, or with no name what is between them.
type event struct {
	id, name, data, comment string
}

// watcher reads one stream.
type watcher struct {
	body  io.ReadCloser
	lines *bufio.Reader
	stop  context.CancelFunc
}

// open begins to watch; last is where to resume, "" for the beginning.
func open(client *http.Client, url, last string) (*watcher, error) {
	ctx, stop := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		stop()
		return nil, err
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := client.Do(r)
	if err != nil {
		stop()
		return nil, err
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || ct != "text/event-stream" {
		stop()
		resp.Body.Close()
		return nil, fmt.Errorf("status %s, type %s", resp.Status, ct)
	}
	return &watcher{resp.Body, bufio.NewReader(resp.Body), stop}, nil
}

func (w *watcher) close() {
	w.stop()
	w.body.Close()
}

// next reads one event or comment; io.EOF when the server ended the stream.
func (w *watcher) next() (e event, err error) {
	for {
		line, err := w.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			return e, nil
		case field == "":
			e.comment = line
		case field == "id":
			e.id = value
		case field == "event":
			e.name = value
		case field == "data":
			e.data = value
		}
	}
}

// want gives the next event, which must have that name. Comments don't count.
func (w *watcher) want(t *testing.T, name string) event {
	t.Helper()
	for {
		e, err := w.next()
		if err != nil {
			t.Fatalf("while waiting for %s: %v", name, err)
		}
		if e.name == "" {
			continue
		}
		if e.name != name {
			t.Fatalf("the event is %+v, want %s", e, name)
		}
		return e
	}
}

func (w *watcher) change(t *testing.T) registry.Change {
	t.Helper()
	var c registry.Change
	if err := json.Unmarshal([]byte(w.want(t, "change").data), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *watcher) reset(t *testing.T) registry.Snapshot {
	t.Helper()
	var all registry.Snapshot
	if err := json.Unmarshal([]byte(w.want(t, "reset").data), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// watch opens a stream that ends with the test.
func watch(t *testing.T, client *http.Client, url, last string) *watcher {
	t.Helper()
	w, err := open(client, url, last)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}
