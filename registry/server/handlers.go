package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	m, err := readMessage(w, r)
	if err != nil {
		return err
	}
	if m.batch != nil {
		return s.registerAll(w, r, m)
	}
	one, err := describe(m.one, r.RemoteAddr)
	if err != nil {
		return err
	}
	if err := s.store.register(r.Context(), &one.registration); err != nil {
		return err
	}
	if one.err != nil {
		return one.err
	}
	s.counts.registrations.Inc()
	send(w, r, &document{body: append(s.appendReceipt(nil, one, s.clock.born()), '\n')})
	return nil
}

// registerAll registers a batch; one bad entry refuses none of the others.
func (s *Server) registerAll(w http.ResponseWriter, r *http.Request, m message) error {
	taken, at, refused, err := sortOut(m.batch, func(f registry.Form) (*described, error) { return describe(f, r.RemoteAddr) })
	if err != nil {
		return err
	}
	all := make([]*registration, len(taken))
	for i, one := range taken {
		all[i] = &one.registration
	}
	if err := s.store.register(r.Context(), all...); err != nil {
		return err
	}
	text, born, good := []byte(`,"registered":[`), s.clock.born(), 0
	for i, one := range taken {
		if one.err != nil {
			if refused, err = refuse(refused, at[i], one.err); err != nil {
				return err
			}
			continue
		}
		if good++; good > 1 {
			text = append(text, ',')
		}
		text = s.appendReceipt(text, one, born)
	}
	s.counts.registrations.Add(float64(good))
	slices.SortFunc(refused, func(a, b refusal) int { return a.Index - b.Index })
	problems, err := json.Marshal(refused)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, `{"revision":%d%s],"refused":%s}`+"\n", s.store.current().revision, text, problems)
	send(w, r, &document{body: body})
	return nil
}

// appendReceipt writes a registry.Receipt: the entry, and what there is to say of it besides.
func (s *Server) appendReceipt(text []byte, one *described, born time.Time) []byte {
	text = one.kept.appendJSON(text, born)
	text = append(text[:len(text)-1], `,"heartbeat_seconds":`...)
	text = strconv.AppendFloat(text, s.beat.Seconds(), 'g', -1, 64)
	text = append(text, `,"revision":`...)
	text = strconv.AppendUint(text, one.revision, 10)
	if one.note != "" {
		note, _ := json.Marshal(one.note) // a string has no error
		text = append(append(text, `,"note":`...), note...)
	}
	return append(text, '}')
}

func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) error {
	m, err := readMessage(w, r)
	if err != nil {
		return err
	}
	if m.batch != nil {
		return s.heartbeatAll(w, r, m)
	}
	who, err := named(m.one)
	if err != nil {
		return err
	}
	var verdict [1]error
	revision, err := s.store.heartbeat(r.Context(), verdict[:], who)
	if err = cmp.Or(err, verdict[0]); err != nil {
		return err
	}
	s.counts.heartbeats.Inc()
	return httpd.WriteJSON(w, http.StatusOK, registry.Acknowledgement{Revision: revision})
}

// batchBeaten tells the sender whom to register again and who is to give up, as
// it named them.
type batchBeaten struct {
	Revision   uint64          `json:"revision"`
	Unknown    []registry.Form `json:"unknown"`
	Superseded []registry.Form `json:"superseded"`
	Refused    []refusal       `json:"refused,omitempty"`
}

func (s *Server) heartbeatAll(w http.ResponseWriter, r *http.Request, m message) error {
	lives, at, refused, err := sortOut(m.batch, named)
	if err != nil {
		return err
	}
	answer := batchBeaten{Unknown: []registry.Form{}, Superseded: []registry.Form{}, Refused: refused}
	verdicts := make([]error, len(lives))
	if answer.Revision, err = s.store.heartbeat(r.Context(), verdicts, lives...); err != nil {
		return err
	}
	good := 0
	for i, verdict := range verdicts {
		as := registry.Component{Kind: lives[i].kind, ID: lives[i].id, InstanceID: lives[i].instance}
		switch code := codeOf(verdict); {
		case verdict == nil:
			good++
		case code == registry.CodeUnknown:
			answer.Unknown = append(answer.Unknown, as.Form())
		case code == registry.CodeSuperseded:
			answer.Superseded = append(answer.Superseded, as.Form())
		default:
			if answer.Refused, err = refuse(answer.Refused, at[i], verdict); err != nil {
				return err
			}
		}
	}
	s.counts.heartbeats.Add(float64(good))
	return httpd.WriteJSON(w, http.StatusOK, answer)
}

func codeOf(err error) string {
	var p *httpd.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func (s *Server) unregister(w http.ResponseWriter, r *http.Request) error {
	var f registry.Form
	if err := httpd.ReadJSON(w, r, &f, httpd.MaxBody); err != nil {
		return err
	}
	who, err := named(f)
	if err != nil {
		return err
	}
	revision, err := s.store.unregister(r.Context(), who)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, registry.Acknowledgement{Revision: revision})
}
