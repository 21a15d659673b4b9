package operation

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Routes are those by which operations are seen, followed and cancelled.
func (s *Store) Routes() []httpd.Route {
	return []httpd.Route{
		{Method: "GET", Path: strings.TrimSuffix(s.path, "/"), Handler: s.list, Doc: listDoc()},
		{Method: "GET", Path: s.path + "{id}", Handler: s.get, Doc: getDoc()},
		{Method: "GET", Path: s.path + "{id}/events", Handler: s.events, Doc: eventsDoc()},
		{Method: "DELETE", Path: s.path + "{id}", Handler: s.remove, Doc: cancelDoc()},
	}
}

// PrefixHeader is where a proxy says below which of its own paths it has this server.
const PrefixHeader = "X-Forwarded-Prefix"

// prefix is what paths of ours begin with for whoever asks.
func prefix(r *http.Request) string {
	p := r.Header.Get(PrefixHeader)
	if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") { // it would be another host's
		return ""
	}
	return strings.TrimSuffix(p, "/")
}

// seenBy is an operation with its events where the client finds them.
func seenBy(r *http.Request, op client.Operation) client.Operation {
	op.EventsURL = prefix(r) + op.EventsURL
	return op
}

func (s *Store) list(w http.ResponseWriter, r *http.Request) error {
	all := s.List()
	for i := range all {
		all[i] = seenBy(r, all[i])
	}
	return httpd.WriteJSON(w, http.StatusOK, all)
}

func (s *Store) find(r *http.Request) (*Running, error) {
	id := r.PathValue("id")
	if op := s.Get(id); op != nil {
		return op, nil
	}
	return nil, httpd.Errorf(http.StatusNotFound, client.CodeUnknownOperation,
		"there is no operation %q, or it ended so long ago that it is forgotten", id)
}

func (s *Store) get(w http.ResponseWriter, r *http.Request) error {
	op, err := s.find(r)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, seenBy(r, op.Operation()))
}

// remove cancels, and answers with the operation as it is then: its end is told by its
// events.
func (s *Store) remove(w http.ResponseWriter, r *http.Request) error {
	op, err := s.find(r)
	if err != nil {
		return err
	}
	op.Cancel()
	return httpd.WriteJSON(w, http.StatusOK, seenBy(r, op.Operation()))
}

func (s *Store) events(w http.ResponseWriter, r *http.Request) error {
	op, err := s.find(r)
	if err != nil {
		return err
	}
	s.Stream(w, r, op)
	return nil
}

// Answer answers the request that has begun an operation: with its events, where those
// are asked for, else with the operation and where to follow it.
func (s *Store) Answer(w http.ResponseWriter, r *http.Request, op *Running) error {
	if WantsEvents(r) {
		s.Stream(w, r, op)
		return nil
	}
	w.Header().Set("Location", prefix(r)+s.at(op.Operation().ID))
	return httpd.WriteJSON(w, http.StatusAccepted, seenBy(r, op.Operation()))
}

// WantsEvents reports whether the request accepts server-sent events.
func WantsEvents(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/event-stream")
}

// Stream tells the operation's events until it has ended, the client has gone, or the
// server goes; or, with ?follow=false, those there are.
func (s *Store) Stream(w http.ResponseWriter, r *http.Request, op *Running) {
	seen, err := strconv.Atoi(r.Header.Get("Last-Event-ID"))
	if err != nil || seen < 0 {
		seen = 0
	}
	now := op.news(seen, 0)
	to := stream{to: httpd.NewEvents(w), seen: seen, changes: now.changes} // what has passed is not told again
	once := r.URL.Query().Get("follow") == "false"
	if once {
		to.changes = 0 // but to who is never there when it passes
	}
	if to.to.SendJSON("operation", seenBy(r, now.op)) != nil {
		return
	}
	quiet := time.NewTicker(httpd.EventsAlive)
	defer quiet.Stop()
	for {
		n := op.news(to.seen, to.changes)
		if to.tell(n) != nil {
			return
		}
		if n.op.Status != client.Running {
			_ = to.to.SendJSON("end", seenBy(r, n.op)) // it may be gone itself
			return
		}
		if once {
			return
		}
		select {
		case <-n.grown:
		case <-quiet.C:
			if to.to.Alive() != nil {
				return
			}
		case <-s.leaving:
			_ = to.to.Send("", "bye", []byte(`{"detail":"the server is going: come back"}`)) // it may be gone itself
			return
		case <-r.Context().Done():
			return
		}
	}
}

// stream is one who follows. An error of its methods means that it is gone.
type stream struct {
	to      httpd.Events
	seen    int
	changes int
}

func (st *stream) tell(n news) error {
	for _, e := range n.events {
		if err := st.to.Send(strconv.Itoa(e.Seq), "", e.Data); err != nil {
			return err
		}
		st.seen = e.Seq
	}
	st.changes = n.changes
	if n.passing == nil || n.op.Status != client.Running {
		return nil
	}
	return st.to.Send("", "", n.passing.Data)
}
