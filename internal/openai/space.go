package openai

import (
	"net/http"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Space is where a server speaks the protocol: below /v1/, but for the paths in Except, and
// those below them. There every error has its shape, whoever writes it.
type Space struct{ Except []string }

// Has reports whether a path is in it.
func (s Space) Has(path string) bool {
	for _, other := range s.Except {
		if path == other || strings.HasPrefix(path, other+"/") {
			return false
		}
	}
	return strings.HasPrefix(path, "/v1/")
}

// Handler serves what is in the space by models, and all else by own.
func (s Space) Handler(own, models http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.Has(r.URL.Path) {
			models.ServeHTTP(w, r)
			return
		}
		own.ServeHTTP(w, r)
	})
}

// Refuse answers with err in the shape of the request's path. It is for httpd.Access.
func (s Space) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if s.Has(r.URL.Path) {
		WriteError(w, err)
		return
	}
	httpd.WriteProblem(w, err)
}
