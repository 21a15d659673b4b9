package engines_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// engine answers GETs of the paths, and nothing else.
func engine(t *testing.T, answers map[string]string) string {
	t.Helper()
	mux := http.NewServeMux()
	for path, body := range answers {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, body)
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestCapabilities(t *testing.T) {
	for _, tc := range []struct {
		engine  string
		answers map[string]string
		want    map[string]any
	}{
		{
			"llama-server",
			map[string]string{"/v1/models": `{"data":[{"id":"a"},{"id":"b"},{"x":1}]}`, "/props": `{"n_ctx":512}`},
			map[string]any{"engine": "llama-server", "models": []string{"a", "b"}, "props": map[string]any{"n_ctx": 512.0}},
		},
		{
			"llama-server", // a build without /props
			map[string]string{"/v1/models": `{"data":[]}`},
			map[string]any{"engine": "llama-server", "models": []string{}},
		},
		{
			"builtin",
			map[string]string{"/capabilities": `{"models":["m"],"simulation":true}`},
			map[string]any{"engine": "builtin", "models": []any{"m"}, "simulation": true},
		},
		{
			"vllm", // one of the answers is no JSON
			map[string]string{"/v1/models": `{"data":[{"id":"m"}]}`, "/version": `<html>`},
			map[string]any{"engine": "vllm", "models": []string{"m"}},
		},
	} {
		got, err := profile(t, catalog(t), tc.engine).Capabilities(t.Context(), engine(t, tc.answers))
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, %v, want %v", tc.engine, got, err, tc.want)
		}
	}
}

func TestCapabilitiesOfNothing(t *testing.T) {
	_, err := profile(t, catalog(t), "builtin").Capabilities(t.Context(), engine(t, nil))
	if err == nil || !strings.Contains(err.Error(), "ask builtin what it can do: GET /capabilities: status 404") {
		t.Errorf("error %v, want the path and its status", err)
	}
	_, err = profile(t, catalog(t), "builtin").Capabilities(t.Context(), engine(t, map[string]string{"/capabilities": "[1]"}))
	if err == nil || !strings.Contains(err.Error(), "the answer is no JSON object") {
		t.Errorf("error %v, want that a list won't do", err)
	}
}
