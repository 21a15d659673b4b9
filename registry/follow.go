package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/sse"
)

// follower keeps a copy of what the registry knows, for one who watches.
type follower struct {
	c    *Client
	news chan struct{} // there is a new view

	// Of run's goroutine alone.
	resumes  bool   // the copy is one to go on from
	failures int    // in a row
	refused  int    // watches in a row that were not to be had
	etag     string // of the poll that the copy is of, if it is of one

	mu        sync.Mutex
	copy      replica
	connected bool
	cause     error
	asOf      time.Time
}

func newFollower(c *Client) *follower { return &follower{c: c, news: make(chan struct{}, 1)} }

// unwatchable is why the registry can't be watched, though it may be there.
type unwatchable struct {
	err   error
	again time.Duration // when to try again; 0: it does not say
}

func (u *unwatchable) Error() string { return u.err.Error() }
func (u *unwatchable) Unwrap() error { return u.err }

// bye is the registry's last word in a stream.
type bye struct {
	reason string
	retry  time.Duration
}

func (b *bye) Error() string { return "the registry ended the watch: " + b.reason }

var (
	errSilent = errors.New("the registry says nothing")
	errCut    = errors.New("the registry's stream was cut")
)

// run follows the registry until ctx ends.
func (f *follower) run(ctx context.Context) {
	f.recall()
	for ctx.Err() == nil {
		err := f.stream(ctx)
		var no *unwatchable
		if errors.As(err, &no) {
			err = f.poll(ctx, no)
		}
		if err != nil && ctx.Err() == nil && !sleep(ctx, f.ended(err)) {
			return
		}
	}
}

// ended says how long to wait after the end of a stream.
func (f *follower) ended(err error) time.Duration {
	f.disconnect(err)
	f.resumes = f.resumes && !errors.Is(err, errLost)
	var said *bye
	if errors.As(err, &said) && said.retry > 0 {
		f.c.log.Info("not watching the registry for a moment", "err", err)
		return min(said.retry, f.c.beat)
	}
	if f.failures++; f.failures == 1 || f.failures == 10 || f.failures%100 == 0 {
		f.c.log.Info("not watching the registry: going on with what is known", "failures", f.failures, "err", err)
	}
	return retryPause(f.failures, f.c.beat, rand.Float64())
}

// stream watches until the stream ends, and says why it did.
func (f *follower) stream(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	// What the registry says first comes at once; a proxy may keep it back for ever.
	patience := time.AfterFunc(f.c.timeout, func() { giveUp(errSilent) })
	defer patience.Stop()
	resp, err := f.open(ctx)
	if err != nil {
		return f.broken(ctx, err, 0)
	}
	defer resp.Body.Close()
	events := sse.NewReader(resp.Body, maxAnswer, func() {
		patience.Reset(f.c.silence)
		f.heard()
	})
	synced := f.resumes
	for told := 0; ; told++ {
		e, err := events.Next()
		if err != nil {
			return f.broken(ctx, fmt.Errorf("%w: %w", errCut, err), told)
		}
		if err := f.take(e, &synced); err != nil {
			return fmt.Errorf("watch the registry: %w", err)
		}
		if synced {
			f.connect()
		}
		if told > 0 {
			f.failures, f.refused = 0, 0
		}
	}
}

// tooOften: a stream that is cut so often when it has just begun is no stream.
const tooOften = 3

// broken is why a stream has ended that has told so many events.
func (f *follower) broken(ctx context.Context, err error, told int) error {
	silent := errors.Is(context.Cause(ctx), errSilent)
	if silent {
		err = errSilent
	}
	err = fmt.Errorf("watch the registry: %w", err)
	if silent && told < 2 || told == 1 && f.failures >= tooOften { // as if someone in between kept it all back
		return &unwatchable{err: err}
	}
	return err
}

// open asks for a stream. It fails with *unwatchable when there is none to be had.
func (f *follower) open(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.c.http.BaseURL+"/v1/registry/watch", nil)
	if err != nil {
		return nil, err
	}
	ShowToken(req, f.c.token)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "identity") // what compresses it keeps events back
	if f.resumes {
		epoch, revision := f.place()
		req.Header.Set("Last-Event-ID", fmt.Sprintf("%s.%d", epoch, revision))
	}
	resp, err := f.c.streams.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, Untrusted(err))
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode == http.StatusOK && media == "text/event-stream" {
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil, &unwatchable{err: fmt.Errorf("a stream of events is wanted, and it answers with %q", resp.Header.Get("Content-Type"))}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	seconds, _ := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16)
	return nil, &unwatchable{err: ReadRefusal(resp.StatusCode, text), again: time.Duration(seconds) * time.Second}
}

// take puts one event into the copy. synced: the copy is what the next change follows on.
func (f *follower) take(e sse.Event, synced *bool) error {
	switch e.Name {
	case "reset":
		if err := f.reset(e.Data); err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		f.etag, *synced = "", true
	case "change":
		c, err := readChange(e.Data)
		if err != nil {
			return err
		}
		f.c.here.one(&c.Component)
		here, at := f.place()
		if epoch, _, named := strings.Cut(e.ID, "."); !*synced || (named && epoch != here) {
			return fmt.Errorf("%w: change %q came after %s.%d", errLost, e.ID, here, at)
		}
		f.etag = ""
		return f.apply(c)
	case "bye":
		said := &bye{retry: e.Retry}
		var words struct{ Reason, Detail string }
		_ = json.Unmarshal(e.Data, &words) // it goes, whatever it says
		said.reason = words.Reason
		return said
	}
	return nil
}

// reset makes the JSON of a snapshot the copy.
func (f *follower) reset(text []byte) error {
	all, err := read(f.c, everything, text)
	if err != nil {
		return err
	}
	if all.Epoch == "" { // some other server's JSON
		return errors.New("read the registry's answer: it has no epoch")
	}
	f.begin(all)
	f.resumes = true
	return nil
}

// mostPolls is how many polls there are at most before the watch is tried again.
const mostPolls = 64

// poll asks for everything, again and again, until it is time to try to watch (nil) or there
// is no answer.
func (f *follower) poll(ctx context.Context, no *unwatchable) error {
	if f.refused++; f.refused == 1 {
		f.c.log.Info("the registry can't be watched: polling it", "err", no)
	}
	polls := min(1<<min(f.refused, 10), mostPolls)
	if no.again > 0 {
		polls = min(polls, 1+int(no.again/f.c.pollEvery))
	}
	for range polls {
		if err := f.look(ctx); err != nil {
			return fmt.Errorf("%w; poll it: %w", no, err)
		}
		f.failures = 0
		if !sleep(ctx, jittered(f.c.pollEvery, rand.Float64())) {
			return nil
		}
	}
	return nil
}

// look asks for everything, once.
func (f *follower) look(ctx context.Context) error {
	fresh, err := f.c.ask(ctx, everything.path, known{etag: f.etag})
	if err != nil {
		return err
	}
	if f.etag == "" || fresh.etag != f.etag {
		if err := f.reset(fresh.body); err != nil {
			return err
		}
		f.etag = fresh.etag
	}
	f.heard()
	f.connect()
	return nil
}

// jittered is d, up to an eighth shorter, so that pollers drift apart.
func jittered(d time.Duration, chance float64) time.Duration {
	return d - time.Duration(chance*float64(d)/8)
}
