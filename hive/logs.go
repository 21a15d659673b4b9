package hive

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/logfile"
	"github.com/rbee-launch/rbee-launch/internal/operation"
)

const (
	// endPeriod is how often a follower looks whether the worker has ended.
	endPeriod = 250 * time.Millisecond
	// linePatience is how long some lines may take to be taken.
	linePatience = 30 * time.Second
)

// logs answers with what a worker has printed, as lines of text or, where those are
// accepted, as server-sent events. What goes wrong once the answer has begun can only be
// logged; a client that is gone is nothing to tell of.
func (h *Hive) logs(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := h.mayRead(id); err != nil {
		return err
	}
	wish, err := readLogWish(r.URL.Query())
	if err != nil {
		return err
	}
	var to printer
	if operation.WantsEvents(r) {
		to = &eventPrinter{to: httpd.NewEvents(w)}
	} else {
		to = newTextPrinter(w, wish.stamped)
	}
	cfg := logfile.Config{Path: logfile.Path(h.cfg.logDir(), id), Tail: wish.tail, OnLines: to.lines}
	ctx, cancel := h.whileHere(r.Context())
	defer cancel()
	if wish.follow {
		err = h.follow(ctx, id, cfg, to)
	} else {
		err = logfile.Read(ctx, cfg)
	}
	if err != nil {
		h.log.Debug("a log is no longer read", "worker", id, "err", err)
		return nil
	}
	if wish.follow && ctx.Err() == nil {
		to.end()
	}
	return nil
}

// whileHere is ctx, which ends, too, when the hive goes. The caller calls cancel.
func (h *Hive) whileHere(ctx context.Context) (_ context.Context, cancel func()) {
	ctx, end := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-h.leaving:
			end()
		case <-ctx.Done():
		}
	})
	return ctx, func() { end(); watching.Wait() }
}

// mayRead takes a worker of ours, and one that was, as long as its operation is known: it
// may have failed, and then the log says why.
func (h *Hive) mayRead(id string) error {
	_, err := h.find(id)
	if err == nil {
		return nil
	}
	for _, op := range h.ops.List() {
		if op.WorkerID == id {
			return nil
		}
	}
	return err
}

// logWish is what a request for a log asks for.
type logWish struct {
	tail            *int
	follow, stamped bool
}

func readLogWish(q url.Values) (wish logWish, err error) {
	if text := q.Get("tail"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return wish, httpd.InvalidField("tail", "%q is no count of lines", text)
		}
		wish.tail = &n
	}
	for name, to := range map[string]*bool{"follow": &wish.follow, "timestamps": &wish.stamped} {
		if text := q.Get(name); text != "" {
			if *to, err = strconv.ParseBool(text); err != nil {
				return wish, httpd.InvalidField(name, "%q is neither true nor false", text)
			}
		}
	}
	return wish, nil
}

// follow goes on until the worker has ended, or the client or the hive goes.
func (h *Hive) follow(ctx context.Context, id string, cfg logfile.Config, to printer) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	cfg.Ended = ended
	var watching sync.WaitGroup
	watching.Go(func() {
		defer close(ended)
		if h.awaitEnd(ctx, id, to) != nil {
			cancel() // the client is gone
		}
	})
	defer watching.Wait()
	defer cancel()
	return logfile.Follow(ctx, cfg)
}

// awaitEnd waits until the worker is listed no more. Meanwhile it keeps the answer alive.
func (h *Hive) awaitEnd(ctx context.Context, id string, to printer) error {
	tick := time.NewTicker(endPeriod)
	defer tick.Stop()
	quiet := time.NewTicker(httpd.EventsAlive)
	defer quiet.Stop()
	for {
		select {
		case <-tick.C:
			var gone *httpd.Problem // else it can't be seen at the moment
			if _, err := h.find(id); errors.As(err, &gone) {
				return nil
			}
		case <-quiet.C:
			if err := to.alive(); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// printer writes lines of a log to a client. It is safe for concurrent use.
type printer interface {
	lines([]logfile.Line) error
	alive() error
	end() // that was all
}

type textPrinter struct {
	w       io.Writer
	ctrl    *http.ResponseController
	stamped bool
}

func newTextPrinter(w http.ResponseWriter, stamped bool) *textPrinter {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold lines back
	p := &textPrinter{w: w, ctrl: http.NewResponseController(w), stamped: stamped}
	_ = p.ctrl.Flush() // the header, so that a follower of a silent worker has an answer
	return p
}

func (p *textPrinter) lines(lines []logfile.Line) error {
	_ = p.ctrl.SetWriteDeadline(time.Now().Add(linePatience)) // a recorder in a test has none
	var errs []error
	for _, l := range lines {
		text := l.Text
		if p.stamped {
			text = l.String()
		}
		_, err := io.WriteString(p.w, text+"\n")
		errs = append(errs, err)
	}
	return errors.Join(append(errs, p.ctrl.Flush())...)
}

// alive has nothing to write that would be no line, and nor has end.
func (p *textPrinter) alive() error { return nil }
func (p *textPrinter) end()         {}

type eventPrinter struct {
	mu sync.Mutex
	to httpd.Events
}

func (p *eventPrinter) lines(lines []logfile.Line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range lines {
		if err := p.to.SendJSON("", l); err != nil {
			return err
		}
	}
	return nil
}

func (p *eventPrinter) alive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to.Alive()
}

func (p *eventPrinter) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.to.Send("", "end", []byte("{}")) // the client may be gone
}
