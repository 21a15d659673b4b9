package openapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Path is where the document is.
const Path = "/openapi.json"

// Info is what a document says of the server as a whole.
type Info struct {
	Title string
	Text  string                        // Markdown
	Forms map[reflect.Type]reflect.Type // for types with a MarshalJSON of their own: the type that has their fields
	Also  []httpd.Route                 // routes that are in the document, too, and served beside these
}

// With gives the routes and one more, which serves the document of all of them. What
// can't be described is a defect, and panics.
func With(info Info, routes []httpd.Route) []httpd.Route {
	all := append(routes[:len(routes):len(routes)], httpd.Route{Method: "GET", Path: Path, Doc: httpd.Doc{
		Summary: "This document", Gives: httpd.JSON(map[string]any{}), Tagged: true,
	}})
	text := document(info, append(all[:len(all):len(all)], info.Also...))
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(text))
	all[len(routes)].Handler = func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-cache") // that is: ask each time, with the tag
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text)) // looks at If-None-Match
		return nil
	}
	return all
}

const (
	schemas = "#/components/schemas/"
	token   = "token"   // the name of the security scheme
	general = "Problem" // the name of the answer that any request may get
	usual   = "The request was refused, or the server failed. Any request may be answered with " +
		"401 `token_needed` (callers from other machines), 403 `foreign_host` or `foreign_origin` (web pages) and 500 `internal`."
)

func document(info Info, routes []httpd.Route) []byte {
	w := writer{huma.NewMapRegistry(schemas, nameOf)}
	for from, to := range info.Forms {
		w.types.RegisterTypeAlias(from, to)
	}
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info:    &huma.Info{Title: info.Title, Description: info.Text, Version: "1"},
		Components: &huma.Components{
			Schemas: w.types,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				token: {Type: "http", Scheme: "bearer", Description: "The token in the file that the server names at its first start."},
			},
			Responses: map[string]*huma.Response{general: w.problem(usual, nil)},
		},
		Security: []map[string][]string{{}, {token: {}}}, // callers on this machine need none
	}
	for _, route := range routes {
		api.AddOperation(w.operation(route))
	}
	w.mend()
	text, err := json.Marshal(api)
	if err != nil {
		panic(fmt.Errorf("write the document of %s: %w", info.Title, err))
	}
	return append(text, '\n')
}
