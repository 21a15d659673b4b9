package openapi

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// writer describes routes; the types that it meets are described once, by name.
type writer struct{ types huma.Registry }

func (w writer) operation(route httpd.Route) *huma.Operation {
	d, path := route.Doc, documented(route.Path)
	op := &huma.Operation{
		Method: route.Method, Path: path,
		OperationID: strings.ToLower(route.Method) + strings.TrimRight(strings.NewReplacer("/", "-", "{", "", "}", "").Replace(path), "-"),
		Summary:     d.Summary, Description: d.Text,
		Parameters: w.parameters(d.Asks, path),
		Responses:  map[string]*huma.Response{"default": {Ref: "#/components/responses/" + general}},
	}
	good := &huma.Response{Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{}, Headers: headers(d)}
	for _, b := range d.Gives {
		good.Content[cmp.Or(b.Media, "application/json")] = &huma.MediaType{Schema: w.body(b)}
	}
	op.Responses["200"] = good
	refuses := maps.Clone(d.Refuses)
	if refuses == nil {
		refuses = map[int][]string{}
	}
	if len(d.Takes) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: w.anyOf(d.Takes)},
		}}
		for status, code := range map[int]string{400: "bad_json", 413: "body_too_large", 422: "invalid_field"} {
			refuses[status] = append(slices.Clone(refuses[status]), code)
		}
	}
	if d.Tagged {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "If-None-Match", In: "header", Description: "The ETag of an answer that the caller has.",
			Schema: &huma.Schema{Type: huma.TypeString},
		})
		op.Responses["304"] = &huma.Response{Description: "The caller has it already."}
	}
	for status, codes := range refuses {
		op.Responses[strconv.Itoa(status)] = w.problem(http.StatusText(status)+": `"+strings.Join(codes, "`, `")+"`", codes)
	}
	return op
}

var parts = regexp.MustCompile(`\{(\w+)[^}]*\}`)

// documented is a pattern of net/http's as OpenAPI has it: it knows neither {$} nor {id...}.
func documented(pattern string) string {
	return parts.ReplaceAllString(strings.TrimSuffix(pattern, "{$}"), "{$1}")
}

func headers(d httpd.Doc) map[string]*huma.Param {
	all := map[string]*huma.Param{}
	for name, text := range d.Headers {
		all[name] = &huma.Param{Description: text, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	if d.Tagged {
		all["ETag"] = &huma.Param{Description: "Names this answer, for If-None-Match.", Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return all
}

// parameters are those that the fields of asks tell of, and those of the path.
func (w writer) parameters(asks any, path string) (list []*huma.Param) {
	if asks != nil {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(asks)) {
			for _, in := range []string{"path", "query", "header"} {
				if name := field.Tag.Get(in); name != "" {
					list = append(list, w.parameter(field, in, name))
				}
			}
		}
	}
	for _, part := range parts.FindAllStringSubmatch(path, -1) {
		told := slices.ContainsFunc(list, func(p *huma.Param) bool { return p.In == "path" && p.Name == part[1] })
		if !told {
			list = append(list, &huma.Param{Name: part[1], In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	return list
}

func (w writer) parameter(field reflect.StructField, in, name string) *huma.Param {
	p := &huma.Param{Name: name, In: in, Required: in == "path", Schema: huma.SchemaFromField(w.types, field, name)}
	p.Description, p.Schema.Description = p.Schema.Description, ""
	if p.Schema.Type == huma.TypeObject { // a map: each of its entries is a parameter, named by its key
		p.Style, p.Explode = "form", new(true)
		p.Schema.Extensions = map[string]any{"propertyNames": map[string]any{"pattern": p.Schema.Pattern}}
		p.Schema.Pattern = ""
	}
	return p
}

func (w writer) body(b httpd.Body) *huma.Schema {
	if b.Media != "text/event-stream" {
		return w.anyOf(b.Types)
	}
	return &huma.Schema{
		Type: huma.TypeArray, Items: w.anyOf(b.Types),
		Description: "Server-sent events: each is one of these, with its data decoded.",
	}
}

// anyOf is the schema of what is one of these types.
func (w writer) anyOf(types []any) *huma.Schema {
	var list []*huma.Schema
	for _, t := range types {
		s := w.types.Schema(reflect.TypeOf(t), true, "")
		loosen(s)
		list = append(list, s)
	}
	if len(list) == 1 {
		return list[0]
	}
	return &huma.Schema{AnyOf: list}
}

// problem is an answer in problem+json, with one of the codes where they are known.
func (w writer) problem(text string, codes []string) *huma.Response {
	s := w.types.Schema(reflect.TypeFor[httpd.Problem](), true, "")
	if codes != nil {
		enum := make([]any, len(codes))
		for i, code := range codes {
			enum[i] = code
		}
		s = &huma.Schema{AllOf: []*huma.Schema{s, {Properties: map[string]*huma.Schema{"code": {Enum: enum}}}}}
	}
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: s}}}
}
