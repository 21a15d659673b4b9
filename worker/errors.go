package worker

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// apiError is an error as the OpenAI protocol writes it, so that its clients
// raise the right exception.
type apiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    string  `json:"code"`
}

// writeError answers with err in OpenAI's shape.
func writeError(w http.ResponseWriter, err error) {
	p := problemOf(err)
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	_ = httpd.WriteJSON(w, p.Status, map[string]apiError{"error": apiErrorOf(p)}) // strings alone: always encodes
}

// errorEvent is err as the last event of a stream that is cut.
func errorEvent(err error) []byte {
	body, _ := json.Marshal(map[string]apiError{"error": apiErrorOf(problemOf(err))}) // strings alone: always encodes
	return body
}

func apiErrorOf(p *httpd.Problem) apiError {
	e := apiError{Message: p.Error(), Type: "invalid_request_error", Code: p.Code}
	if p.Status >= 500 {
		e.Type = "server_error"
	}
	if p.Field != "" {
		e.Param = &p.Field
	}
	return e
}

// problemOf is err as a Problem; one that is none stays in the log.
func problemOf(err error) *httpd.Problem {
	var p *httpd.Problem
	if errors.As(err, &p) {
		return p
	}
	return httpd.Errorf(http.StatusInternalServerError, "internal", "the worker failed; its log has the reason")
}
