package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/sse"
	"github.com/rbee-launch/rbee-launch/registry"
)

const (
	// firstRetry and longestRetry are between attempts to come back to a stream.
	firstRetry, longestRetry = 100 * time.Millisecond, 2 * time.Second
	// maxEvent bounds one event of a stream, in bytes: last lines of output may be long.
	maxEvent = 4 << 20
)

// Follow tells tell the events of an operation from its beginning, each once, and returns
// the operation when it has ended. Lost connections are made again, until ctx ends or
// nothing came for Config.Away; a hive that does not know the operation (any more) ends it
// with a *registry.Refusal, and so does what is no hive.
func (c *Client) Follow(ctx context.Context, id string, tell func(Event)) (Operation, error) {
	f := following{client: c, id: id, tell: tell, heard: time.Now()}
	for pause := firstRetry; ; pause = min(2*pause, longestRetry) {
		before := f.seen
		op, err := f.once(ctx)
		switch {
		case err == nil:
			return op, nil
		case final(err) || c.cfg.Away > 0 && time.Since(f.heard) > c.cfg.Away:
			return Operation{}, fmt.Errorf("follow the operation %s: %w", id, err)
		case f.seen > before:
			pause = firstRetry
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return Operation{}, fmt.Errorf("follow the operation %s: %w", id, errors.Join(context.Cause(ctx), err))
		}
	}
}

// final reports whether another attempt would come to the same.
func final(err error) bool {
	var refused *registry.Refusal
	return errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusTooManyRequests
}

// following is how far one Follow has come.
type following struct {
	client *Client
	id     string
	tell   func(Event)
	seen   int
	heard  time.Time // when something came last
}

// errCut means that a stream ended before the operation did.
var errCut = errors.New("the stream was cut")

func (f *following) once(ctx context.Context) (Operation, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := f.client.request(ctx, http.MethodGet, f.client.cfg.Operations+url.PathEscape(f.id)+"/events")
	if err != nil {
		return Operation{}, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if f.seen > 0 {
		req.Header.Set("Last-Event-ID", strconv.Itoa(f.seen))
	}
	silence := time.AfterFunc(f.client.cfg.Silence, func() {
		cancel(fmt.Errorf("nothing was heard for %s", f.client.cfg.Silence))
	})
	defer silence.Stop()
	resp, err := f.client.stream.Do(req)
	if err != nil {
		return Operation{}, fmt.Errorf("%w: %w", registry.ErrUnreachable, registry.Untrusted(err))
	}
	defer resp.Body.Close()
	if err := refused(resp); err != nil {
		return Operation{}, err
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "text/event-stream" {
		return Operation{}, &registry.Refusal{Status: resp.StatusCode, Detail: fmt.Sprintf("the answer is %q and no events: this is no hive", media)}
	}
	events := sse.NewReader(resp.Body, maxEvent, func() {
		silence.Reset(f.client.cfg.Silence)
		f.heard = time.Now()
	})
	for {
		e, err := events.Next()
		switch {
		case err != nil:
			return Operation{}, errors.Join(errCut, err, context.Cause(ctx))
		case e.Data == nil: // a comment, or a name without anything
			continue
		case e.Name == "end":
			var op Operation
			err := json.Unmarshal(e.Data, &op)
			return op, err
		}
		if err := f.event(e); err != nil {
			return Operation{}, err
		}
	}
}

func (f *following) event(e sse.Event) error {
	if e.Name != "" { // how it stands, or a farewell
		return nil
	}
	told := Event{Data: bytes.Clone(e.Data)}
	if err := json.Unmarshal(e.Data, &told); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	if e.ID != "" {
		seq, err := strconv.Atoi(e.ID)
		if err != nil {
			return fmt.Errorf("read the id of an event: %w", err)
		}
		told.Seq, f.seen = seq, seq
	}
	f.tell(told)
	return nil
}

// refused is the error of an answer that is none of 2xx.
func refused(resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what there is says why
	return registry.ReadRefusal(resp.StatusCode, body)
}
