package server

import (
	"errors"
	"fmt"
	"net/http"
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
	receipt, err := s.keep(m.one, r.RemoteAddr)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, receipt)
}

// keep registers what f describes for a caller at remote.
func (s *Server) keep(f registry.Form, remote string) (registry.Receipt, error) {
	c, err := described(f)
	if err != nil {
		return registry.Receipt{}, err
	}
	said := c.Hostname
	c.Hostname = reachableHost(said, remote)
	receipt := registry.Receipt{Beat: s.beat}
	if c.Hostname != said {
		receipt.Note = fmt.Sprintf("others can't reach %q as %s: the address that this request came from, %s, is kept in its place",
			c.ID, said, c.Hostname)
	}
	receipt.Entry, receipt.Revision, err = s.table.register(time.Now(), c)
	return receipt, err
}

type batchRegistered struct {
	Revision   uint64             `json:"revision"`
	Registered []registry.Receipt `json:"registered"`
	Refused    []refusal          `json:"refused"`
}

func (s *Server) registerAll(w http.ResponseWriter, r *http.Request, m message) error {
	answer := batchRegistered{Registered: []registry.Receipt{}, Refused: []refusal{}}
	for i, raw := range m.batch {
		f, err := part(raw)
		var receipt registry.Receipt
		if err == nil {
			receipt, err = s.keep(f, r.RemoteAddr)
		}
		if err == nil {
			answer.Registered = append(answer.Registered, receipt)
			continue
		}
		if answer.Refused, err = refuse(answer.Refused, i, err); err != nil {
			return err
		}
	}
	answer.Revision = s.table.sweep(time.Now())
	return httpd.WriteJSON(w, http.StatusOK, answer)
}

func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) error {
	m, err := readMessage(w, r)
	if err != nil {
		return err
	}
	if m.batch != nil {
		return s.heartbeatAll(w, m)
	}
	c, err := named(m.one)
	if err != nil {
		return err
	}
	revision, err := s.table.heartbeat(time.Now(), c)
	if err != nil {
		return err
	}
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

func (s *Server) heartbeatAll(w http.ResponseWriter, m message) error {
	answer := batchBeaten{Unknown: []registry.Form{}, Superseded: []registry.Form{}}
	for i, raw := range m.batch {
		f, err := part(raw)
		var c registry.Component
		if err == nil {
			c, err = named(f)
		}
		if err == nil {
			_, err = s.table.heartbeat(time.Now(), c)
		}
		switch code := codeOf(err); {
		case err == nil:
		case code == registry.CodeUnknown:
			answer.Unknown = append(answer.Unknown, c.Form())
		case code == registry.CodeSuperseded:
			answer.Superseded = append(answer.Superseded, c.Form())
		default:
			if answer.Refused, err = refuse(answer.Refused, i, err); err != nil {
				return err
			}
		}
	}
	answer.Revision = s.table.sweep(time.Now())
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
	c, err := named(f)
	if err != nil {
		return err
	}
	revision, err := s.table.unregister(time.Now(), c)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, registry.Acknowledgement{Revision: revision})
}
