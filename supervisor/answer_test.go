package supervisor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// What a server answers in place of being ready is told in one short line.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"":                     "answers 404 Not Found",
		"not found\n":          "answers 404 Not Found",
		"no model is loaded":   "answers 404 Not Found: no model is loaded",
		"one line\nand more":   "answers 404 Not Found",
		"<!DOCTYPE HTML><p>x":  "answers 404 Not Found",
		`{"error":"no model"}`: "answers 404 Not Found: no model",
		`{"error":{"message":"out of memory","type":"x"}}`:    "answers 404 Not Found: out of memory",
		`{"detail":"no such path"}`:                           "answers 404 Not Found: no such path",
		`{"status":"loading","simulation":true,"percent":30}`: "answers 404 Not Found",
		`{"detail":[{"loc":["a"]}],"message":"bad"}`:          "answers 404 Not Found: bad",
		`{"error":"cut`:          "answers 404 Not Found",
		strings.Repeat("é", 200): "answers 404 Not Found: " + strings.Repeat("é", 120) + "…",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, body)
		}))
		err := supervisor.HTTP(srv.URL).Check(t.Context(), supervisor.Child{})
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
		srv.Close()
	}
}
