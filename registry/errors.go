package registry

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What callers branch on, with errors.Is.
var (
	// ErrUnknown: the registry does not know the component: register (again).
	ErrUnknown = errors.New("not registered")
	// ErrSuperseded: a newer life of the component is registered, and lives.
	ErrSuperseded = errors.New("superseded by another instance")
	// ErrConflict: another queen is online.
	ErrConflict = errors.New("another queen is online")
	// ErrUnreachable: no answer came; the cause is wrapped beside it.
	ErrUnreachable = errors.New("no answer")
	// ErrUntrusted: no answer came since the server's certificate is signed by no CA that
	// is known here. To try again is of no use until one is. The flag is that of all programs:
	// it gets into whatever log or answer the error does.
	ErrUntrusted = errors.New("--tls-ca FILE names the CA that has signed it")
)

// Untrusted adds ErrUntrusted to why no answer came, where that is the reason.
func Untrusted(err error) error {
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || errors.Is(err, ErrUntrusted) {
		return err
	}
	return fmt.Errorf("%w (%w)", err, ErrUntrusted)
}

// The stable codes of the problems behind the errors above.
const (
	CodeUnknown    = "unknown_component"
	CodeSuperseded = "superseded"
	CodeConflict   = "queen_conflict"
	CodeNoQueen    = "no_queen"
)

// Refusal is a request that was answered with an error.
type Refusal struct {
	Status int    `json:"status"` // HTTP's
	Code   string `json:"code"`   // stable; "" when something else than a registry answered
	Detail string `json:"detail"`
	Field  string `json:"field"` // the JSON field at fault, if one is
}

// plainHTTP is what net/http's servers of TLS answer those who speak none.
const plainHTTP = "Client sent an HTTP request to an HTTPS server"

// ReadRefusal reads an answer that is an error. What is no problem+json, since something else
// than a server of ours has answered, has its status to tell.
func ReadRefusal(status int, body []byte) *Refusal {
	r := &Refusal{}
	if json.Unmarshal(body, r) != nil {
		r = &Refusal{}
		if status == http.StatusBadRequest && strings.HasPrefix(string(body), plainHTTP) {
			r.Detail = "it speaks TLS: its URL begins with https://"
		}
	}
	r.Status = status
	return r
}

// Error gives the server's own words, else the HTTP status.
func (r *Refusal) Error() string {
	if r.Detail != "" {
		return r.Detail
	}
	return fmt.Sprintf("HTTP status %d %s", r.Status, http.StatusText(r.Status))
}

// Is lets errors.Is find ErrUnknown, ErrSuperseded and ErrConflict.
func (r *Refusal) Is(target error) bool {
	switch r.Code {
	case CodeUnknown:
		return target == ErrUnknown
	case CodeSuperseded:
		return target == ErrSuperseded
	case CodeConflict:
		return target == ErrConflict
	}
	return false
}

// FieldError is one field of a message that can't be taken as it is.
type FieldError struct {
	Field  string // as the wire names it
	Reason string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func badField(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}
