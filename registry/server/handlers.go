package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

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
	receipt, err := s.keep(r.Context(), m.one, r.RemoteAddr)
	if err != nil {
		return err
	}
	return httpd.WriteJSON(w, http.StatusOK, receipt)
}

// keep registers what f describes for a caller at remote.
func (s *Server) keep(ctx context.Context, f registry.Form, remote string) (registry.Receipt, error) {
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
	kept, revision, err := s.store.register(ctx, c, machine(remote))
	if err != nil {
		return registry.Receipt{}, err
	}
	s.counts.registrations.Inc()
	receipt.Entry, receipt.Revision = kept.entry(s.clock.born()), revision
	return receipt, nil
}

// machine is the address that a caller is counted under; the zero one for this machine.
// An IPv6 host has a whole /64 to choose from.
func machine(remote string) netip.Addr {
	caller, err := netip.ParseAddrPort(remote)
	ip := caller.Addr().Unmap().WithZone("")
	if err != nil || ip.IsLoopback() {
		return netip.Addr{}
	}
	if ip.Is6() {
		network, _ := ip.Prefix(64) // never over 128
		return network.Addr()
	}
	return ip
}

type batchRegistered struct {
	Revision   uint64             `json:"revision"`
	Registered []registry.Receipt `json:"registered"`
	Refused    []refusal          `json:"refused"`
}

func (s *Server) registerAll(w http.ResponseWriter, r *http.Request, m message) error {
	answer := batchRegistered{Registered: []registry.Receipt{}, Refused: []refusal{}}
	parts, err := m.parts()
	if err != nil {
		return err
	}
	for i, p := range parts {
		var receipt registry.Receipt
		if p.err == nil {
			receipt, p.err = s.keep(r.Context(), p.form, r.RemoteAddr)
		}
		if p.err == nil {
			answer.Registered = append(answer.Registered, receipt)
			continue
		}
		if answer.Refused, err = refuse(answer.Refused, i, p.err); err != nil {
			return err
		}
	}
	answer.Revision = s.store.current().revision
	return httpd.WriteJSON(w, http.StatusOK, answer)
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
	answer := batchBeaten{Unknown: []registry.Form{}, Superseded: []registry.Form{}}
	parts, err := m.parts()
	if err != nil {
		return err
	}
	lives, at := make([]life, 0, len(parts)), make([]int, 0, len(parts))
	for i, p := range parts {
		var who life
		if p.err == nil {
			who, p.err = named(p.form)
		}
		if p.err == nil {
			lives, at = append(lives, who), append(at, i)
		} else if answer.Refused, err = refuse(answer.Refused, i, p.err); err != nil {
			return err
		}
	}
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
