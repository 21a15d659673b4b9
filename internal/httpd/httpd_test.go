package httpd_test

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

type thing struct {
	Named
	Port int `json:"port"`
}

// Named is a part of a thing that JSON does not see as one.
type Named struct {
	Name string `json:"name"`
}

// things answers with what it was sent, and fails as it is told to.
func things(log *slog.Logger) http.Handler {
	return httpd.Routes(log, []httpd.Route{
		{Method: "POST", Path: "/things", Handler: func(w http.ResponseWriter, r *http.Request) error {
			var v thing
			if err := httpd.ReadJSON(w, r, &v, 100); err != nil {
				return err
			}
			return httpd.WriteJSON(w, http.StatusCreated, v)
		}},
		{Method: "GET", Path: "/things/{name}", Handler: func(_ http.ResponseWriter, r *http.Request) error {
			if r.PathValue("name") == "broken" {
				return errors.New("the disk is full")
			}
			return httpd.Errorf(http.StatusNotFound, "unknown_thing", "there is no %s", r.PathValue("name"))
		}},
		{Method: "DELETE", Path: "/things/{name}", Handler: func(http.ResponseWriter, *http.Request) error {
			return httpd.InvalidField("name", "is %d bytes long", 7)
		}},
	})
}

func TestProblems(t *testing.T) {
	srv := httptest.NewServer(things(slog.New(slog.DiscardHandler)))
	defer srv.Close()
	for _, test := range []struct {
		name, method, path, body string
		want                     httpd.Problem // of which Type and Title follow
	}{
		{"no JSON", "POST", "/things", `{"name":`, httpd.Problem{Status: 400, Code: "bad_json"}},
		{"nonsense", "POST", "/things", `name=x`, httpd.Problem{Status: 400, Code: "bad_json"}},
		{"no body", "POST", "/things", ``, httpd.Problem{Status: 400, Code: "bad_json"}},
		{"two values", "POST", "/things", `{"name":"x"} {"name":"y"}`, httpd.Problem{Status: 400, Code: "bad_json"}},
		{"a wrong type", "POST", "/things", `{"port":"80"}`, httpd.Problem{Status: 422, Code: "invalid_field", Field: "port"}},
		{"a wrong type of a part", "POST", "/things", `{"name":80}`, httpd.Problem{Status: 422, Code: "invalid_field", Field: "name"}},
		{"no object", "POST", "/things", `[1]`, httpd.Problem{Status: 422, Code: "invalid_field"}},
		{"too large", "POST", "/things", `{"name":"` + strings.Repeat("x", 100) + `"}`, httpd.Problem{Status: 413, Code: "body_too_large"}},
		{"too large, after the value", "POST", "/things", `{"name":"x"}` + strings.Repeat(" ", 100), httpd.Problem{Status: 413, Code: "body_too_large"}},
		{"an error of its own", "GET", "/things/x", ``, httpd.Problem{Status: 404, Code: "unknown_thing", Detail: "there is no x"}},
		{"a field of its own", "DELETE", "/things/x", ``, httpd.Problem{Status: 422, Code: "invalid_field", Field: "name", Detail: "name: is 7 bytes long"}},
		{"a failure", "GET", "/things/broken", ``, httpd.Problem{Status: 500, Code: "internal", Detail: "the server failed; its log has the reason"}},
		{"an unknown path", "GET", "/nothing", ``, httpd.Problem{Status: 404, Code: "unknown_path", Detail: "there is nothing at /nothing"}},
		{"no page either", "GET", "/", ``, httpd.Problem{Status: 404, Code: "unknown_path"}},
		{"a wrong method", "PATCH", "/things/x", ``, httpd.Problem{Status: 405, Code: "method_not_allowed", Detail: "/things/x does not take PATCH, it takes DELETE, GET"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req, err := http.NewRequest(test.method, srv.URL+test.path, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("it is %s", kind)
			}
			if resp.StatusCode == 405 && resp.Header.Get("Allow") != "DELETE, GET" {
				t.Errorf("it allows %q", resp.Header.Get("Allow"))
			}
			var got httpd.Problem
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			want := test.want
			want.Type, want.Title = "about:blank", http.StatusText(want.Status)
			if want.Detail == "" { // a text for people, which none here depends on
				want.Detail = got.Detail
			}
			if got != want || resp.StatusCode != want.Status || got.Detail == "" {
				t.Errorf("%d %+v, not %+v", resp.StatusCode, got, want)
			}
		})
	}
}

// The reason of a failure is the log's alone.
func TestFailureIsLogged(t *testing.T) {
	var log strings.Builder
	h := things(slog.New(slog.NewTextHandler(&log, nil)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/things/broken", nil))
	if !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log has %q", log.String())
	}
	if strings.Contains(w.Body.String(), "disk") {
		t.Errorf("the caller is told %s", w.Body)
	}
	log.Reset()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/things/x", nil))
	if log.Len() > 0 {
		t.Errorf("a caller's mistake is logged: %s", log.String())
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	srv := httptest.NewServer(things(slog.New(slog.DiscardHandler)))
	defer srv.Close()
	resp, err := srv.Client().Post(srv.URL+"/things", "", strings.NewReader(`{"name":"x","port":1,"colour":"blue"}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(body); resp.StatusCode != 201 || got != `{"name":"x","port":1}`+"\n" {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
}

func TestRoutesAs(t *testing.T) {
	h := httpd.RoutesAs(slog.New(slog.DiscardHandler), func(w http.ResponseWriter, err error) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, err.Error()) // a recorder takes it
	}, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != http.StatusTeapot || w.Body.String() != "there is nothing at /x" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestPathsWithDetours: what is no path of ours is a JSON 404, and never a redirect.
func TestPathsWithDetours(t *testing.T) {
	h := httpd.Routes(slog.New(slog.DiscardHandler), []httpd.Route{
		{Method: "GET", Path: "/v1/models", Handler: func(http.ResponseWriter, *http.Request) error { return nil }},
		{Method: "GET", Path: "/v1/models/{id...}", Handler: func(http.ResponseWriter, *http.Request) error { return nil }},
	})
	for path, want := range map[string]int{
		"/v1/models": 200, "/v1/models/a/b": 200, "/v1/models/a%2F%2Fb": 200, "/v1/models/": 200, "/v1/models/a/": 200,
		"//v1/models": 404, "/v1//models": 404, "/v1/../v1/models": 404, "/./v1/models": 404, "/v1/models/a//b": 404, "/v1": 404, "/v1/": 404, "//": 404, "/": 404,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://box"+path, nil))
		if w.Code != want || want == 404 && !strings.Contains(w.Body.String(), `"code":"unknown_path"`) {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

// TestBrief: a name that can be none is cut, between two letters.
func TestBrief(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"", ""},
		{strings.Repeat("x", 200), strings.Repeat("x", 200)},
		{strings.Repeat("x", 20_000), strings.Repeat("x", 200) + "…"},
		{strings.Repeat("x", 199) + strings.Repeat("ü", 2), strings.Repeat("x", 199) + "…"},
		{strings.Repeat("\x80", 300), "…"},
	} {
		if got := httpd.Brief(test.name); got != test.want {
			t.Errorf("%.10q of %d bytes: %q", test.name, len(test.name), got)
		}
	}
}
