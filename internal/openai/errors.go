package openai

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Refusal is the body of an answer that is an error, and the data of an event that is one.
type Refusal struct {
	Error Error `json:"error"`
}

// Error is an error as the protocol writes it.
type Error struct {
	Message string  `json:"message" doc:"For people."`
	Type    string  `json:"type" enum:"invalid_request_error,server_error"`
	Param   *string `json:"param" doc:"The JSON field at fault, if one is."`
	Code    string  `json:"code" doc:"Stable, for programs."`
}

// WriteError answers with err: an *httpd.Problem in the protocol's shape, anything else
// as a 500 whose text stays in the server's log. It is for httpd.RoutesAs.
func WriteError(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1") // the official clients obey it
	}
	_ = httpd.WriteJSON(w, p.Status, refusalOf(p)) // strings alone: always encodes
}

// Event is err as the data of the last event of a stream that is cut: the JSON alone,
// without "data:". The connection has to be aborted after it; clients take a clean end
// for a whole answer.
func Event(err error) []byte {
	body, _ := json.Marshal(refusalOf(problemOf(err))) // strings alone: always encodes
	return body
}

// Status is the HTTP status that WriteError answers err with.
func Status(err error) int { return problemOf(err).Status }

func refusalOf(p *httpd.Problem) Refusal {
	e := Error{Message: p.Error(), Type: "invalid_request_error", Code: p.Code}
	if p.Status >= 500 {
		e.Type = "server_error"
	}
	if p.Field != "" {
		e.Param = &p.Field
	}
	return Refusal{e}
}

// problemOf is err as a Problem; one that is none stays in the log.
func problemOf(err error) *httpd.Problem {
	var p *httpd.Problem
	if errors.As(err, &p) {
		return p
	}
	return httpd.Errorf(http.StatusInternalServerError, "internal", "the server failed; its log has the reason")
}
