package openapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/apitest"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
)

// thing has all that a type can be made of.
type thing struct {
	Name  string         `json:"name" maxLength:"8" doc:"What it is called."`
	Kind  string         `json:"kind,omitempty" enum:"large,small"`
	Parts []thing        `json:"parts"`
	Whole *thing         `json:"whole"`
	Maker *maker         `json:"maker,omitempty"`
	Made  time.Time      `json:"made,omitzero"`
	Else  map[string]any `json:"else,omitempty"`
	Spell spelled        `json:"spell,omitzero"`
}

type maker struct {
	Age int `json:"age" minimum:"0"`
}

// spelled has a JSON of its own.
type spelled struct{ n int }

type spelledForm struct {
	Letters string `json:"letters"`
}

func (s spelled) MarshalJSON() ([]byte, error) {
	return json.Marshal(spelledForm{strings.Repeat("x", s.n)})
}

type asks struct {
	Name  string            `path:"name" doc:"Which."`
	Limit int               `query:"limit" minimum:"1"`
	Label map[string]string `query:"label" pattern:"^label\\."`
	Last  string            `header:"Last-Event-ID"`
}

// shop answers GET /things/{name} with what it is told to.
func shop(answer func(w http.ResponseWriter) error) http.Handler {
	return httpd.Routes(slog.New(slog.DiscardHandler), openapi.With(
		openapi.Info{Title: "shop", Forms: map[reflect.Type]reflect.Type{reflect.TypeFor[spelled](): reflect.TypeFor[spelledForm]()}},
		[]httpd.Route{
			{Method: "GET", Path: "/things/{name...}", Handler: func(w http.ResponseWriter, _ *http.Request) error { return answer(w) }, Doc: httpd.Doc{
				Summary: "One thing", Asks: asks{}, Gives: httpd.JSON(thing{}), Refuses: map[int][]string{404: {"unknown_thing"}},
			}},
			{Method: "POST", Path: "/{$}", Doc: httpd.Doc{
				Takes: []any{thing{}, []thing{}}, Gives: []httpd.Body{{Types: []any{thing{}, []thing{}}}, {Media: "text/event-stream", Types: []any{maker{}}}},
				Headers: map[string]string{"Link": "The next."},
			}},
		}))
}

func document(t *testing.T) (text []byte, doc *apitest.Document) {
	t.Helper()
	w := httptest.NewRecorder()
	shop(nil).ServeHTTP(w, httptest.NewRequest("GET", openapi.Path, nil))
	doc, err := apitest.Parse(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return w.Body.Bytes(), doc
}

func TestWhatIsInADocument(t *testing.T) {
	t.Parallel()
	text, doc := document(t)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", text)
		}
	})
	if got := strings.Join(doc.Operations(), ", "); got != "GET /openapi.json, GET /things/{name}, POST /" {
		t.Errorf("it has %s", got)
	}
	for _, want := range []string{
		`{"description":"Which.","in":"path","name":"name","required":true,"schema":{"type":"string"}}`,
		`{"in":"query","name":"limit","schema":{"format":"int64","minimum":1,"type":"integer"}}`,
		`{"in":"header","name":"Last-Event-ID","schema":{"type":"string"}}`,
		`"schema":{"additionalProperties":{"type":"string"},"propertyNames":{"pattern":"^label\\."},"type":"object"},"style":"form"`,
		`"whole":{"anyOf":[{"$ref":"#/components/schemas/Thing"},{"type":"null"}]}`,
		`"maker":{"$ref":"#/components/schemas/Maker"}`,
		`"parts":{"items":{"$ref":"#/components/schemas/Thing"},"type":"array"}`,
		`"spell":{"$ref":"#/components/schemas/Spelled"}`,
		`"required":["name","parts","whole"]`,
		`"headers":{"Link":{"description":"The next.","schema":{"type":"string"}}}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("it lacks %s", want)
		}
	}
	if strings.Contains(string(text), `"additionalProperties":false`) {
		t.Error("a type can't gain a field")
	}
}

// What the package checks, it finds.
func TestAnswersAgainstTheirDocument(t *testing.T) {
	t.Parallel()
	_, doc := document(t)
	body := func(status int, text string) func(http.ResponseWriter) error {
		return func(w http.ResponseWriter) error { return httpd.WriteJSON(w, status, json.RawMessage(text)) }
	}
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter) error
		wrong  string // a part of the error; "" for none
	}{
		"a thing": {func(w http.ResponseWriter) error {
			return httpd.WriteJSON(w, 200, thing{Name: "a", Kind: "small", Parts: []thing{}, Whole: &thing{Parts: []thing{}}, Made: time.Now(), Spell: spelled{2}})
		}, ""},
		"a problem":          {func(http.ResponseWriter) error { return httpd.Errorf(404, "unknown_thing", "no") }, ""},
		"a usual problem":    {func(http.ResponseWriter) error { return httpd.Errorf(403, "foreign_host", "no") }, ""},
		"another code":       {func(http.ResponseWriter) error { return httpd.Errorf(404, "lost_thing", "no") }, "must be 'unknown_thing'"},
		"null for a list":    {body(200, `{"name":"a","parts":null,"whole":null}`), "got null, want array"},
		"no name":            {body(200, `{"parts":[],"whole":null}`), "missing property 'name'"},
		"a long name":        {body(200, `{"name":"123456789","parts":[],"whole":null}`), "maxLength"},
		"a kind of its own":  {body(200, `{"name":"a","kind":"odd","parts":[],"whole":null}`), "must be one of 'large', 'small'"},
		"no time":            {body(200, `{"name":"a","made":"noon","parts":[],"whole":null}`), "date-time"},
		"a field more":       {body(200, `{"name":"a","parts":[],"whole":null,"price":1}`), "'price' not allowed"},
		"another media type": {func(w http.ResponseWriter) error { w.Header().Set("Content-Type", "text/html"); return nil }, "no text/html"},
		"another status":     {body(201, `{}`), "no application/json"},
	} {
		w := httptest.NewRecorder()
		shop(test.answer).ServeHTTP(w, httptest.NewRequest("GET", "/things/a/b", nil))
		err := doc.Check("GET /things/{name}", w.Code, w.Header(), w.Body.Bytes())
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v, want %q", name, err, test.wrong)
		}
	}
	stream := func(text string) error {
		return doc.Check("POST /", 200, http.Header{"Content-Type": {"text/event-stream"}}, []byte(text))
	}
	if err := stream("event: x\ndata: {\"age\":1}\n\n"); err == nil { // it describes no such events
		t.Error("any event will do")
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]string{
		`{`:                   "EOF",
		`{"openapi":"3.1.0"}`: "missing property 'info'",
		`{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{"x":{}}}`:                                                 "no OpenAPI 3.1",
		`{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{},"components":{"schemas":{"A":{"type":"text"}}}}`:        "the schema A",
		`{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{},"components":{"schemas":{"A":{"$ref":"#/nowhere/B"}}}}`: "the schema A",
	} {
		if _, err := apitest.Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %q", text, err, wrong)
		}
	}
}

func TestWhoHasTheDocumentGetsNoOther(t *testing.T) {
	t.Parallel()
	h := shop(nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", openapi.Path, nil))
	again := httptest.NewRequest("GET", openapi.Path, nil)
	again.Header.Set("If-None-Match", w.Header().Get("ETag"))
	w = httptest.NewRecorder()
	h.ServeHTTP(w, again)
	if w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}
