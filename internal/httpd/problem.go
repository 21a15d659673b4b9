package httpd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Problem is an error as RFC 9457 writes it. Code is stable: programs branch on
// it, people read Detail.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title" doc:"The HTTP status in words."`
	Status int    `json:"status" doc:"The HTTP status."`
	Code   string `json:"code" doc:"Stable, for programs."`
	Detail string `json:"detail,omitempty" doc:"For people."`
	Field  string `json:"field,omitempty" doc:"The JSON field, or the parameter, at fault, if one is."`
}

// Error makes a Problem an error that a Handler can return.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Errorf makes a Problem with the given HTTP status and stable code.
func Errorf(status int, code, format string, args ...any) *Problem {
	return &Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: status,
		Code:   code,
		Detail: fmt.Sprintf(format, args...),
	}
}

// InvalidField is the 422 for one field of a request body.
func InvalidField(field, format string, args ...any) *Problem {
	p := Errorf(http.StatusUnprocessableEntity, "invalid_field", "%s: %s", field, fmt.Sprintf(format, args...))
	p.Field = field
	return p
}

// WriteProblem answers with err: a *Problem as it is, anything else as a 500
// whose text stays in the server's log.
func WriteProblem(w http.ResponseWriter, err error) {
	var p *Problem
	if !errors.As(err, &p) {
		p = Errorf(http.StatusInternalServerError, "internal", "the server failed; its log has the reason")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone; there is no one left to tell
}
