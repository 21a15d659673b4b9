package httpd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// eventPatience is how long one event may take to be taken: a client that stops reading
// holds a stream no longer than that.
const eventPatience = 30 * time.Second

// EventsAlive is how long a stream of events says nothing at most: proxies cut what is
// idle for a minute (nginx, proxy_read_timeout).
const EventsAlive = 15 * time.Second

// Events writes server-sent events, each out at once. Make it with NewEvents, and use it
// from one goroutine. Its errors mean that the client is gone, or takes nothing.
type Events struct {
	w    http.ResponseWriter
	ctrl *http.ResponseController
}

// NewEvents answers 200 and begins the stream.
func NewEvents(w http.ResponseWriter) Events {
	e := Events{w: w, ctrl: http.NewResponseController(w)}
	_ = e.ctrl.SetReadDeadline(time.Time{}) // that was for the request; a recorder in a test has none
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	w.WriteHeader(http.StatusOK)
	return e
}

// Send writes one event; id and name may be empty. Data that has line breaks becomes as
// many lines of data, which the reader joins again.
func (e Events) Send(id, name string, data []byte) error {
	var text bytes.Buffer
	if id != "" {
		fmt.Fprintf(&text, "id: %s\n", id)
	}
	if name != "" {
		fmt.Fprintf(&text, "event: %s\n", name)
	}
	for line := range bytes.Lines(data) {
		fmt.Fprintf(&text, "data: %s\n", bytes.TrimRight(line, "\r\n"))
	}
	text.WriteByte('\n')
	return e.write(text.Bytes())
}

// SendJSON is Send for v as JSON, without an id. An encoding error can only be a defect of
// v's type.
func (e Events) SendJSON(name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.Send("", name, body)
}

// Alive writes a comment, which readers skip.
func (e Events) Alive() error { return e.write([]byte(":\n\n")) }

func (e Events) write(text []byte) error {
	_ = e.ctrl.SetWriteDeadline(time.Now().Add(eventPatience)) // a writer without deadlines has no client that stalls
	if _, err := e.w.Write(text); err != nil {
		return err
	}
	return e.ctrl.Flush()
}
