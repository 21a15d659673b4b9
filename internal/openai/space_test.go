package openai_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
)

// TestSpace: who is not let in is told so in the shape of what was asked for.
func TestSpace(t *testing.T) {
	t.Parallel()
	s := openai.Space{Except: []string{"/v1/queen"}}
	for path, within := range map[string]bool{
		"/v1/models": true, "/v1/chat/completions": true, "/v1/queens": true, "/v1/": true,
		"/v1": false, "/v1/queen": false, "/v1/queen/workers": false, "/health": false, "//v1/models": false,
	} {
		says := func(text string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("By", text) })
		}
		h := httpd.Access{Refuse: s.Refuse, Token: "secret"}.Wrap(s.Handler(says("own"), says("models")))
		for _, bearer := range []string{"", "secret"} {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr, r.Host = "192.0.2.7:4000", "192.0.2.1"
			r.Header.Set("Authorization", "Bearer "+bearer)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want, by := "application/problem+json", "own"
			if within {
				want, by = "application/json", "models"
			}
			switch {
			case bearer != "" && w.Header().Get("By") != by:
				t.Errorf("%s: served by %q", path, w.Header().Get("By"))
			case bearer == "" && (w.Code != 401 || w.Header().Get("Content-Type") != want || w.Header().Get("WWW-Authenticate") == "" ||
				strings.Contains(w.Body.String(), `"error":{"message":"callers`) != within):
				t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
			}
		}
	}
}
