package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pb33f/libopenapi/datamodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Document is a server's OpenAPI document.
type Document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
}

const (
	location = "http://document.invalid/openapi.json"
	standard = "http://standard.invalid/3.1.json"
)

// Parse decodes a document. It fails unless that is valid: as OpenAPI 3.1 and, with all
// that it refers to, as JSON Schema.
func Parse(text []byte) (*Document, error) {
	whole, err := decode(text)
	if err != nil {
		return nil, err
	}
	rules, err := decode([]byte(datamodel.OpenAPI31SchemaData))
	if err != nil {
		return nil, err
	}
	d := &Document{compiler: jsonschema.NewCompiler()}
	d.root, _ = whole.(map[string]any)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(standard, rules); err != nil {
		return nil, err
	}
	openAPI, err := d.compiler.Compile(standard)
	if err != nil {
		return nil, err
	}
	if err := openAPI.Validate(whole); err != nil {
		return nil, fmt.Errorf("it is no OpenAPI 3.1: %w", err)
	}
	types, _ := d.at("components", "schemas").(map[string]any)
	for _, s := range types {
		closed(s)
	}
	if err := d.compiler.AddResource(location, whole); err != nil {
		return nil, err
	}
	for name := range types {
		if _, err := d.compiler.Compile(pointer("components", "schemas", name)); err != nil {
			return nil, fmt.Errorf("the schema %s: %w", name, err)
		}
	}
	return d, nil
}

func decode(text []byte) (any, error) { return jsonschema.UnmarshalJSON(bytes.NewReader(text)) }

// closed has a type admit of no fields but its own.
func closed(schema any) {
	s, _ := schema.(map[string]any)
	if _, told := s["additionalProperties"]; !told && s["properties"] != nil {
		s["additionalProperties"] = false
	}
}

// at walks into the document.
func (d *Document) at(names ...string) any {
	var v any = d.root
	for _, name := range names {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

func pointer(names ...string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	for i, name := range names {
		names[i] = escape.Replace(name)
	}
	return location + "#/" + strings.Join(names, "/")
}

// Operations are "METHOD PATH" of all that the document has, sorted.
func (d *Document) Operations() (list []string) {
	paths, _ := d.at("paths").(map[string]any)
	for path := range paths {
		methods, _ := d.at("paths", path).(map[string]any)
		for method := range maps.Keys(methods) {
			list = append(list, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(list)
	return list
}

// Check fails unless the answer of an operation ("METHOD PATH") is as it is described.
func (d *Document) Check(operation string, status int, header http.Header, body []byte) error {
	fail := func(err error) error {
		return fmt.Errorf("%s is answered with %d: %w: %s", operation, status, err, body)
	}
	method, path, _ := strings.Cut(operation, " ")
	where := []string{"paths", path, strings.ToLower(method), "responses", strconv.Itoa(status)}
	if d.at(where...) == nil {
		where[4] = "default"
	}
	if ref, ok := d.at(append(slices.Clone(where), "$ref")...).(string); ok {
		where = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
	}
	if d.at(where...) == nil {
		return fail(errors.New("that is not in the document"))
	}
	if status == http.StatusNotModified {
		return nil
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fail(err)
	}
	where = append(where, "content", media, "schema")
	if d.at(where...) == nil {
		return fail(fmt.Errorf("the document has no %s there", media))
	}
	schema, err := d.compiler.Compile(pointer(where...))
	if err != nil {
		return fail(err)
	}
	value, err := decoded(media, body)
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

func decoded(media string, body []byte) (any, error) {
	switch {
	case strings.HasSuffix(media, "json"):
		return decode(body)
	case media == "text/event-stream":
		return events(string(body))
	}
	return string(body), nil
}

// events decodes a stream: a list of its events, each an object of its fields.
func events(text string) (any, error) {
	list := []any{}
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		event := map[string]any{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch name {
			case "data":
				data, err := decode([]byte(value))
				if err != nil {
					data = value // such as OpenAI's [DONE]
				}
				event[name] = data
			case "retry":
				event[name] = json.Number(value)
			case "id", "event":
				event[name] = value
			}
		}
		if event["event"] != nil || event["data"] != nil { // else a comment, or an id alone
			list = append(list, event)
		}
	}
	return list, nil
}
