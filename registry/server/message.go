package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// message is a request's body: one component, or {"components":[...]}. The
// parts of a batch stay undecoded, so that each can be wrong by itself.
type message struct {
	one   registry.Form
	batch []json.RawMessage // nil: it is one
	size  int
}

func (m *message) UnmarshalJSON(text []byte) error {
	var batch struct {
		Components []json.RawMessage `json:"components"`
	}
	m.size = len(text)
	if err := json.Unmarshal(text, &batch); err != nil {
		return err
	}
	if m.batch = batch.Components; m.batch != nil {
		return nil
	}
	return json.Unmarshal(text, &m.one)
}

// readMessage allows a batch its size, and only a batch.
func readMessage(w http.ResponseWriter, r *http.Request) (message, error) {
	var m message
	if err := httpd.ReadJSON(w, r, &m, httpd.MaxBatch); err != nil {
		return message{}, err
	}
	if m.batch == nil && m.size > httpd.MaxBody {
		return message{}, httpd.Errorf(http.StatusRequestEntityTooLarge, "body_too_large",
			"the body is over %d bytes, which only a batch may be", httpd.MaxBody)
	}
	return m, nil
}

// part decodes one part of a batch.
func part(raw json.RawMessage) (registry.Form, error) {
	var f registry.Form
	err := json.Unmarshal(raw, &f)
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return f, httpd.InvalidField(cmp.Or(wrongType.Field, "components"), "is a JSON %s, wanted is %s", wrongType.Value, wrongType.Type)
	}
	return f, err
}

// named is whom a heartbeat or an unregistration is about.
func named(f registry.Form) (registry.Component, error) {
	c, err := f.Identity()
	return c, asProblem(err)
}

// described is what a registration says.
func described(f registry.Form) (registry.Component, error) {
	c, err := f.Component()
	if err == nil {
		err = c.Validate()
	}
	return c, asProblem(err)
}

func asProblem(err error) error {
	var field *registry.FieldError
	if errors.As(err, &field) {
		return httpd.InvalidField(field.Field, "%s", field.Reason)
	}
	return err
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
