package queen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/openai"
)

const eventStream = "text/event-stream"

// errNoEnd: a stream of events has no end that could be told from a worker's death.
var errNoEnd = errors.New("the stream ends without [DONE]")

// pass gives the client what the worker answers, each piece at once. Whatever the status,
// it is the worker's own. An answer that can't be finished is errCut, with an error event
// before that if it is a stream; why says why.
func (t try) pass(w http.ResponseWriter, resp *http.Response, firstByte func(), why func(error) error) error {
	media, isJSON := mediaOf(resp.Header)
	t.head(w, resp, media)
	to := newPieces(w, t.q.cfg.Limits.Write)
	if media == eventStream {
		if err := to.flush(); err != nil {
			return errGone
		}
	}
	buf := make([]byte, 16<<10)
	var end tail
	var json nesting
	untold := closeDelimited(resp)
	for {
		n, err := resp.Body.Read(buf)
		t.patience.Stop()
		if n > 0 {
			if firstByte != nil {
				firstByte()
				firstByte = nil
			}
			end.add(buf[:n])
			if untold && isJSON {
				json.add(buf[:n])
			}
			if to.write(buf[:n]) != nil {
				return errGone // or takes nothing: there is no one to tell
			}
		}
		switch {
		case err != io.EOF || !untold:
		case media == eventStream && !end.done():
			err = errNoEnd
		case isJSON && !json.whole():
			err = errHalf
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return t.cut(to, media, end, why(err))
		}
		t.patience.Reset(t.q.cfg.Limits.Between)
	}
}

func (t try) head(w http.ResponseWriter, resp *http.Response, media string) {
	h := w.Header()
	id := h.Get(requestID)
	maps.Copy(h, endToEnd(resp.Header))
	h.Set(requestID, id) // ours, which the worker was told
	h.Del("Set-Cookie")
	h.Set(workerID, t.to.id)
	if media == eventStream {
		h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	}
	w.WriteHeader(resp.StatusCode)
}

// cut tells the client of a stream that it is not whole, as well as that can be done.
func (t try) cut(to pieces, media string, end tail, reason error) error {
	if errors.Is(reason, errGone) {
		return errGone
	}
	if media == eventStream {
		gap := ""
		if !end.betweenEvents() {
			gap = "\n\n" // an event that was begun
		}
		_ = to.write(fmt.Appendf(nil, "%sdata: %s\n\n", gap, openai.Event(reason))) // at best: the connection is aborted anyway
	}
	return errCut
}

// closeDelimited reports whether the answer ends with its connection, so that the end of
// the worker looks like the end of the answer.
func closeDelimited(resp *http.Response) bool {
	return resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// pieces writes to a client, each piece out at once and within a time limit.
type pieces struct {
	w     http.ResponseWriter
	ctrl  *http.ResponseController
	limit time.Duration
}

func newPieces(w http.ResponseWriter, limit time.Duration) pieces {
	return pieces{w: w, ctrl: http.NewResponseController(w), limit: limit}
}

func (p pieces) write(piece []byte) error {
	_ = p.ctrl.SetWriteDeadline(time.Now().Add(p.limit)) // a writer without deadlines has no client that stalls
	if _, err := p.w.Write(piece); err != nil {
		return err
	}
	return p.ctrl.Flush()
}

func (p pieces) flush() error {
	_ = p.ctrl.SetWriteDeadline(time.Now().Add(p.limit))
	return p.ctrl.Flush()
}

// tail is the last that was seen of an answer.
type tail struct{ last []byte }

func (t *tail) add(piece []byte) {
	const enough = 32
	t.last = append(t.last, piece[max(0, len(piece)-enough):]...)
	t.last = append(t.last[:0], t.last[max(0, len(t.last)-enough):]...)
}

// done reports whether a stream has come to its end.
func (t tail) done() bool { return bytes.HasSuffix(bytes.TrimSpace(t.last), []byte("[DONE]")) }

// betweenEvents reports whether an event may begin here.
func (t tail) betweenEvents() bool {
	return len(t.last) == 0 || bytes.HasSuffix(t.last, []byte("\n\n")) || bytes.HasSuffix(t.last, []byte("\r\n\r\n"))
}
