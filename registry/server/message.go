package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// message is a request's body: one component, or {"components":[...]}.
type message struct {
	one   registry.Form
	batch []part // nil: it is one
}

// part is one component of a batch, or what is wrong with it.
type part struct {
	form registry.Form
	err  error
}

// readMessage allows a batch its size, and only a batch.
func readMessage(w http.ResponseWriter, r *http.Request) (message, error) {
	body, err := httpd.ReadBody(w, r, httpd.MaxBatch)
	if err != nil {
		return message{}, err
	}
	return decodeMessage(body)
}

func decodeMessage(body []byte) (m message, err error) {
	// Most messages are one heartbeat, and decoding is most of what that takes: once will do.
	if bytes.Contains(body, []byte(`"components"`)) {
		if m.batch, err = decodeBatch(body); m.batch != nil || err != nil {
			return m, err
		}
	}
	if len(body) > httpd.MaxBody {
		return m, httpd.Errorf(http.StatusRequestEntityTooLarge, "body_too_large",
			"the body is over %d bytes, which only a batch may be", httpd.MaxBody)
	}
	return m, httpd.Decode(body, &m.one)
}

// decodeBatch decodes a batch: as a whole if it is right, else each part for itself, since
// one that is wrong must not refuse the others. A body that is none gives nil.
func decodeBatch(body []byte) ([]part, error) {
	var right struct {
		Components []registry.Form `json:"components"`
	}
	if json.Unmarshal(body, &right) == nil {
		if right.Components == nil {
			return nil, nil
		}
		list := make([]part, len(right.Components))
		for i, f := range right.Components {
			list[i].form = f
		}
		return list, nil
	}
	var raw struct {
		Components []json.RawMessage `json:"components"`
	}
	if err := httpd.Decode(body, &raw); err != nil || raw.Components == nil {
		return nil, err
	}
	list := make([]part, len(raw.Components))
	for i, text := range raw.Components {
		list[i].form, list[i].err = decodePart(text)
	}
	return list, nil
}

func decodePart(raw json.RawMessage) (f registry.Form, err error) {
	err = json.Unmarshal(raw, &f)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		err = httpd.InvalidField(cmp.Or(wrongType.Field, "components"), "is a JSON %s, wanted is %s", wrongType.Value, wrongType.Type)
	}
	return f, err
}

// named is whom a heartbeat or an unregistration is about.
func named(f registry.Form) (life, error) {
	c, err := f.Identity()
	return life{key{c.Kind, c.ID}, c.InstanceID}, asProblem(err)
}

// described is what a registration says, and what was changed in it.
type described struct {
	registration
	note string
}

// describe reads a registration of a caller at remote.
func describe(f registry.Form, remote string) (*described, error) {
	c, err := f.Component()
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return nil, asProblem(err)
	}
	d := &described{registration: registration{Component: c, from: httpd.Machine(remote)}}
	if d.Hostname = reachableHost(c.Hostname, remote); d.Hostname != c.Hostname {
		d.note = fmt.Sprintf("others can't reach %q as %s: the address that this request came from, %s, is kept in its place",
			c.ID, c.Hostname, d.Hostname)
	}
	return d, nil
}

func asProblem(err error) error {
	var field *registry.FieldError
	if errors.As(err, &field) {
		return httpd.InvalidField(field.Field, "%s", field.Reason)
	}
	return err
}

// sortOut reads each part of a batch: good are those that can be read, at is where in the
// batch they were, and refused are the others. The error is the server's own failure.
func sortOut[T any](batch []part, read func(registry.Form) (T, error)) (good []T, at []int, refused []refusal, err error) {
	good, at, refused = make([]T, 0, len(batch)), make([]int, 0, len(batch)), []refusal{}
	for i, p := range batch {
		var one T
		if err = p.err; err == nil {
			one, err = read(p.form)
		}
		if err == nil {
			good, at = append(good, one), append(at, i)
		} else if refused, err = refuse(refused, i, err); err != nil {
			return nil, nil, nil, err
		}
	}
	return good, at, refused, nil
}

// refusal is one part of a batch that was not taken.
type refusal struct {
	Index   int            `json:"index"` // in the request's components, from 0
	Problem *httpd.Problem `json:"problem"`
}

// refuse puts err into a batch's answer; what is no Problem is the server's own
// failure and stays an error.
func refuse(list []refusal, index int, err error) ([]refusal, error) {
	var p *httpd.Problem
	if !errors.As(err, &p) {
		return list, err
	}
	return append(list, refusal{index, p}), nil
}
