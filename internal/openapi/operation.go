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
	"github.com/rbee-launch/rbee-launch/internal/openai"
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
	op.Responses["200"] = w.answer(http.StatusOK, d.Gives)
	op.Responses["200"].Headers = headers(d)
	for status, bodies := range d.Also {
		op.Responses[strconv.Itoa(status)] = w.answer(status, bodies)
	}
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
	if d.OpenAI {
		op.Responses["default"] = w.anyRefusal()
	}
	for status, codes := range refuses {
		text := http.StatusText(status) + ": `" + strings.Join(codes, "`, `") + "`"
		if d.Relays {
			text, codes = text+", or what the other server says", nil
		}
		refusal := w.problem
		if d.OpenAI {
			refusal = w.openAI
		}
		op.Responses[strconv.Itoa(status)] = refusal(text, codes)
	}
	return op
}

func (w writer) answer(status int, bodies []httpd.Body) *huma.Response {
	r := &huma.Response{Description: http.StatusText(status), Content: map[string]*huma.MediaType{}}
	for _, b := range bodies {
		r.Content[cmp.Or(b.Media, "application/json")] = &huma.MediaType{Schema: w.body(b)}
	}
	return r
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
		s = &huma.Schema{AllOf: []*huma.Schema{s, oneOf(codes)}}
	}
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: s}}}
}

// oneOf are objects with one of the codes.
func oneOf(codes []string) *huma.Schema {
	enum := make([]any, len(codes))
	for i, code := range codes {
		enum[i] = code
	}
	return &huma.Schema{Properties: map[string]*huma.Schema{"code": {Enum: enum}}}
}

// openAI is problem in the shape of the OpenAI protocol.
func (w writer) openAI(text string, codes []string) *huma.Response {
	s := w.types.Schema(reflect.TypeFor[openai.Refusal](), true, "")
	if codes != nil {
		s = &huma.Schema{AllOf: []*huma.Schema{s, {Properties: map[string]*huma.Schema{"error": oneOf(codes)}}}}
	}
	return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: s}}}
}

// anyRefusal is what any request of the OpenAI protocol may get: who may call is decided
// before anybody looks at what is asked for.
func (w writer) anyRefusal() *huma.Response {
	r := w.openAI(usual+" The first two come as a problem.", nil)
	maps.Copy(r.Content, w.problem("", nil).Content)
	return r
}
