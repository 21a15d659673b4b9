package httpd

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// lingering is how long the rest of a body may take to come that nobody wants any more. To
// read it keeps the connection, and the answer in one piece, for who is just sending it.
const lingering = 5 * time.Second

// bounded gives clients a time to send the bodies of their requests. With a body's end net/http
// takes its deadline away, so that handlers may take as long as they like after it.
func bounded(h http.Handler, limit, linger time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		b := &sentBody{ReadCloser: r.Body, conn: http.NewResponseController(w), until: time.Now().Add(limit)}
		_ = b.conn.SetReadDeadline(b.until) // a recorder in a test has none
		own := *r                           // net/http looks at the body of its own
		own.Body = b
		defer b.leave(linger)
		h.ServeHTTP(w, &own)
	})
}

// sentBody is a request's body with a deadline on its way.
type sentBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	until time.Time

	mu    sync.Mutex // a handler may have others read it, beyond its own end
	ended bool       // it has come, or can't
}

// Read is io.Reader's.
func (b *sentBody) Read(p []byte) (n int, err error) {
	n, err = b.ReadCloser.Read(p)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ended = true
	}
	return n, err
}

// leave is for when the handler has ended: net/http reads what is left of the body before
// the answer leaves, or after.
func (b *sentBody) leave(linger time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return
	}
	if soon := time.Now().Add(linger); soon.Before(b.until) {
		_ = b.conn.SetReadDeadline(soon)
	}
}
