package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

const (
	// keepAlive is how long a stream says nothing at most: proxies cut what is idle for a
	// minute (nginx, proxy_read_timeout).
	keepAlive = 15 * time.Second
	// pieceSize is how many bytes a watcher has to read within the patience there is for it.
	pieceSize = 256 << 10
	// together is how many changes are written at once at most.
	together = 256
	// mostCopied is how many bytes of them are put together for one write; larger ones are
	// written from where all have them, so that who takes nothing costs little.
	mostCopied = 16 << 10
)

// Why a stream ends, as its last event says.
const (
	byeLeaving = "shutting_down"
	byeSlow    = "too_slow"
)

// watch streams what changes, as server-sent events, or answers one poll.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f, err := readWholeFilter(q)
	if err != nil {
		return err
	}
	if watching := s.watching.Add(1); watching > int64(s.maxWatchers) {
		s.watching.Add(-1)
		w.Header().Set("Retry-After", "5")
		return httpd.Errorf(http.StatusServiceUnavailable, "too_many_watchers", "%d watch already, which is the limit", s.maxWatchers)
	}
	defer s.watching.Add(-1)
	if q.Has("since") || q.Has("wait") {
		return s.poll(w, r, f)
	}
	to := &stream{s: s, w: w, rc: http.NewResponseController(w), filter: f}
	if why := to.run(r); why != "" {
		s.counts.dropped.WithLabelValues(why).Inc()
		s.log.Info("watcher dropped", "remote", r.RemoteAddr, "reason", why, "revision", to.reached)
	}
	return nil
}

// stream is one watcher. It has no queue: it remembers how far it has got.
type stream struct {
	s       *Server
	w       http.ResponseWriter
	rc      *http.ResponseController
	filter  filter
	reached uint64 // the revision up to which everything was looked at
	told    uint64 // the one that the watcher knows of
}

// run serves the watcher until it leaves, the registry does, or it is dropped: then it
// says why.
func (st *stream) run(r *http.Request) (dropped string) {
	_ = st.rc.SetReadDeadline(time.Time{}) // that was for the request; a recorder in a test has none
	h := st.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	err := st.begin(r.Header.Get("Last-Event-ID"))
	quiet := time.NewTimer(keepAlive)
	defer quiet.Stop()
	changes := make([]*change, 0, together)
	for err == nil {
		found, grown, kept := st.s.journal.after(st.reached, changes)
		switch {
		case !kept:
			_ = st.bye(byeSlow, "more has changed than is kept: come back, and begin with a reset")
			return byeSlow
		case len(found) > 0:
			heard := st.told
			if err = st.tell(found); st.told != heard {
				quiet.Reset(keepAlive)
			}
			clear(found) // who has nothing to hear keeps none of them
			continue
		}
		select {
		case <-grown:
		case <-quiet.C:
			err = st.breathe()
			quiet.Reset(keepAlive)
		case <-st.s.leaving:
			_ = st.bye(byeLeaving, "the registry is going: come back")
			return ""
		case <-r.Context().Done():
			return ""
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "stalled"
	}
	return "" // it has gone
}

// begin goes on where the watcher was, or tells it everything.
func (st *stream) begin(last string) error {
	v := st.s.store.current()
	if last != "" {
		revision, known, _ := st.s.since(last, v)
		if _, _, kept := st.s.journal.after(revision, nil); known && kept {
			st.reached, st.told = revision, revision
			return st.write([]byte(": resumed\n\n"))
		}
	}
	st.reached = v.revision
	all := v.snapshot(st.s.epoch, st.filter, st.s.clock).body // which ends its line itself
	return st.write(append(st.event("reset", v.revision), "data: "...), all, []byte("\n"))
}

// event begins an event.
func (st *stream) event(name string, revision uint64) []byte {
	st.told = revision
	return fmt.Appendf(nil, "id: %s\nevent: %s\n", st.s.tag(revision), name)
}

// tell writes small changes together, and large ones from where all have them.
func (st *stream) tell(changes []*change) error {
	var together []byte
	for _, c := range changes {
		st.reached = c.revision
		if !c.concerns(st.filter) {
			continue
		}
		st.told = c.revision
		text := c.event(st.s.epoch)
		var err error
		switch {
		case len(changes) == 1 || len(text) > mostCopied/2:
			err = st.write(together, text)
			together = together[:0]
		case len(together)+len(text) > mostCopied:
			err = st.write(together)
			together = append(together[:0], text...)
		default:
			together = append(together, text...)
		}
		if err != nil {
			return err
		}
	}
	if len(together) == 0 {
		return nil
	}
	return st.write(together)
}

// breathe shows that the stream lives, and how far it has got past what the filter left out.
func (st *stream) breathe() error {
	text := []byte(":\n")
	if st.told != st.reached {
		st.told = st.reached
		text = fmt.Appendf(text, "id: %s\n", st.s.tag(st.reached)) // no event, but a place to resume at
	}
	return st.write(append(text, '\n'))
}

// bye tells a watcher to come back, each at another moment.
func (st *stream) bye(reason, detail string) error {
	text := st.event("bye", st.reached)
	retry := 200*time.Millisecond + rand.N(2*time.Second)
	return st.write(fmt.Appendf(text, "retry: %d\ndata: {\"reason\":%q,\"detail\":%q}\n\n", retry.Milliseconds(), reason, detail))
}

// write gives each piece its time, so that a long snapshot may take long. It keeps no copy
// of them.
func (st *stream) write(texts ...[]byte) error {
	for _, text := range texts {
		for piece := range slices.Chunk(text, pieceSize) {
			_ = st.rc.SetWriteDeadline(time.Now().Add(st.s.patience))
			if _, err := st.w.Write(piece); err != nil {
				return err
			}
		}
	}
	return st.rc.Flush()
}

const (
	usualWait = 30 * time.Second
	maxWait   = 10 * time.Minute
)

// poll is a watch for those who have no streams: it answers when something has changed
// since a revision, or when the wait is over.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, f filter) error {
	wait, text := usualWait, r.URL.Query().Get("wait")
	if text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > maxWait {
			return httpd.InvalidField("wait", "%q is no duration from 0s to %s, like 30s", text, maxWait)
		}
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
	v := s.store.current()
	var revision uint64
	known := false
	if text := r.URL.Query().Get("since"); text != "" {
		var err error
		if revision, known, err = s.since(text, v); err != nil {
			return httpd.InvalidField("since", "%v: EPOCH.REVISION or REVISION is wanted, as in an ETag", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	var changes []*change
	if known {
		changes, revision, known = s.await(ctx, f, revision)
	}
	_ = rc.SetWriteDeadline(time.Now().Add(s.answerTime))
	if !known {
		send(w, r, v.reset(s.epoch, f, s.clock))
		return nil
	}
	answer := fmt.Appendf(nil, `{"epoch":%q,"revision":%d,"changes":[`, s.epoch, revision)
	for i, c := range changes {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = append(answer, c.json(s.epoch)...)
	}
	send(w, r, &document{body: append(answer, "]}\n"...)})
	return nil
}

// await waits for changes that concern f. reached is how far it has looked; it is not
// known when what follows on since is not kept any more.
func (s *Server) await(ctx context.Context, f filter, since uint64) (changes []*change, reached uint64, known bool) {
	some := make([]*change, 0, together)
	for {
		found, grown, kept := s.journal.after(since, some)
		if !kept {
			return nil, since, false
		}
		for _, c := range found {
			since = c.revision
			if c.concerns(f) {
				changes = append(changes, c)
			}
		}
		switch {
		case len(changes) > 0:
			return changes, since, true
		case len(found) > 0:
			continue
		}
		select {
		case <-grown:
		case <-s.leaving:
			return nil, since, true
		case <-ctx.Done():
			return nil, since, true
		}
	}
}
