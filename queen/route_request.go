package queen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// asked is what the queen looks at in a request. All else is the worker's.
type asked struct {
	Model  string `json:"model" doc:"One of those in /v1/models."`
	Stream any    `json:"stream,omitempty" doc:"Whether the answer is to come as events; the worker's to judge."`
}

// readPrompt reads the whole body, and what it asks for, before anything is sent
// anywhere: an answer that begins earlier makes net/http close the connection, and it
// notices a client that hangs up only after the body was read.
func (q *Queen) readPrompt(w http.ResponseWriter, r *http.Request) (body []byte, model string, err error) {
	ctrl := http.NewResponseController(w)
	_ = ctrl.SetReadDeadline(time.Now().Add(q.cfg.Limits.Body)) // a connection without deadlines is a test's
	if body, err = httpd.ReadBody(w, r, httpd.MaxPrompt); err != nil {
		return nil, "", err
	}
	_ = ctrl.SetReadDeadline(time.Time{}) // else it would pass for the client's hanging up
	var a asked
	if err := httpd.Decode(body, &a); err != nil {
		return nil, "", err
	}
	if a.Model == "" {
		return nil, "", q.table.modelNeeded(time.Now())
	}
	return body, a.Model, nil
}

// withModel is a request's body with another name for the model.
func withModel(body []byte, name string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return nil, err
	}
	fields["model"] = quoted
	return json.Marshal(fields)
}

// onward is the client's request as the worker gets it.
func (q *Queen) onward(ctx context.Context, r *http.Request, to target, body []byte, model string) (*http.Request, error) {
	if to.model != model {
		var err error
		if body, err = withModel(body, to.model); err != nil {
			return nil, fmt.Errorf("rename the model for %s: %w", to.id, err)
		}
	}
	out, err := http.NewRequestWithContext(ctx, r.Method, to.url+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request to %s: %w", to.id, err)
	}
	out.URL.RawQuery = r.URL.RawQuery
	out.Header = endToEnd(r.Header)
	for _, name := range private {
		out.Header.Del(name)
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // net/http would name itself
	}
	addHop(out.Header, r, q.pseudonym)
	registry.ShowToken(out, q.cfg.Token)
	return out, nil
}

// private are the headers that are between the client and the queen, besides Host, which
// is never passed on: her own credentials, and what has no meaning beyond. An answer in
// another encoding could not get an error event added. Idempotency-Key has net/http
// repeat a request that the worker may have begun to answer.
var private = []string{
	"Authorization", "Api-Key", "X-Api-Key", "Cookie", "Origin", "Referer", "Accept-Encoding", "Content-Length", "Expect",
	"Idempotency-Key", "X-Idempotency-Key",
}

// endToEnd are the headers that are not for one connection alone (RFC 9110, 7.6.1).
func endToEnd(h http.Header) http.Header {
	h = h.Clone()
	if h == nil {
		return http.Header{}
	}
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range []string{
		"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
	return h
}

// Headers, as net/http spells them.
const (
	requestID = "X-Request-Id"
	workerID  = "X-Rbee-Worker"
)

// named gives the request an id, the client's own where that is one, so that the logs of
// all who have to do with it can be put together.
func named(r *http.Request) string {
	id := r.Header.Get(requestID)
	if !printable(id) {
		id = ulid.Make().String()
		r.Header.Set(requestID, id)
	}
	return id
}

func printable(id string) bool {
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return id != "" && len(id) <= registry.MaxID
}
