package httpd

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
)

// MaxBody is the limit of a request body that holds one thing: 64 KiB.
const MaxBody = 64 << 10

// MaxBatch is the limit of a request body that holds many: 1 MiB.
const MaxBatch = 1 << 20

// MaxPrompt is the limit of a request to a model: 16 MiB. A long context is a few of these
// in text, and images come in base64.
const MaxPrompt = 16 << 20

// ReadJSON is ReadBody and Decode.
func ReadJSON(w http.ResponseWriter, r *http.Request, v any, limit int64) error {
	body, err := ReadBody(w, r, limit)
	if err != nil {
		return err
	}
	return Decode(body, v)
}

// ReadBody reads the request's body. It returns a Problem: 413 over limit bytes, 408 when
// it takes longer than Serve gives it, 400 when it does not arrive whole.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var body bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= MaxBody {
		body.Grow(int(n) + bytes.MinRead) // so that the end is found without growing
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return nil, jsonProblem(err)
	}
	return body.Bytes(), nil
}

// Decode reads one JSON value into v. Unknown fields are ignored. It returns a Problem:
// 422 with the field's name for a wrong type, 400 for what is no JSON at all.
func Decode(body []byte, v any) error {
	if len(body) == 0 {
		return jsonProblem(io.EOF)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return jsonProblem(err)
	}
	return nil
}

func jsonProblem(err error) *Problem {
	var (
		tooBig    *http.MaxBytesError
		wrongType *json.UnmarshalTypeError
		syntax    *json.SyntaxError
	)
	switch {
	case errors.As(err, &tooBig):
		return Errorf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is over %d bytes", tooBig.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Errorf(http.StatusRequestTimeout, "body_too_slow", "the body did not arrive in time")
	case errors.As(err, &wrongType):
		if wrongType.Field == "" {
			return Errorf(http.StatusUnprocessableEntity, "invalid_field", "the body is a JSON %s, an object is wanted", wrongType.Value)
		}
		return InvalidField(fieldOf(wrongType), "is a JSON %s, wanted is %s", wrongType.Value, wrongType.Type)
	case errors.As(err, &syntax):
		return Errorf(http.StatusBadRequest, "bad_json", "the body is no JSON: at byte %d: %v", syntax.Offset, syntax)
	case errors.Is(err, io.EOF):
		return Errorf(http.StatusBadRequest, "bad_json", "the body is empty, a JSON object is wanted")
	default:
		return Errorf(http.StatusBadRequest, "bad_json", "the body is no JSON: %v", err)
	}
}

// fieldOf is the field's path without the types that are embedded on the way, which are
// in none of the JSON: our fields have names in lower case.
func fieldOf(err *json.UnmarshalTypeError) string {
	path := slices.DeleteFunc(strings.Split(err.Field, "."), func(name string) bool {
		return name != "" && name[0] >= 'A' && name[0] <= 'Z'
	})
	return strings.Join(path, ".")
}

// WriteJSON answers with v. An encoding error can only be a defect of v's type,
// and is returned for the log.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
	return nil
}
