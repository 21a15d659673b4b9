package openapi

import (
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// nameOf names a type in the document. A type that is there for its JSON alone is named
// XForm, and is an X to those who read of it.
func nameOf(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if short := strings.TrimSuffix(name, "Form"); short != "" {
		return short
	}
	return "Component"
}

// mend makes the schemas say what encoding/json does with our types. To huma, an object
// has no fields but those that are named, while ours may gain some, and ignore others;
// and it takes every list for one that may be null, and no pointer to a struct.
func (w writer) mend() {
	for name, s := range w.types.Map() {
		loosen(s)
		for _, field := range reflect.VisibleFields(w.types.TypeFromRef(schemas + name)) {
			tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			p := s.Properties[tag]
			if p != nil && p.Ref != "" && field.Type.Kind() == reflect.Pointer && !strings.Contains(options, "omit") {
				s.Properties[tag] = &huma.Schema{AnyOf: []*huma.Schema{p, {Type: "null"}}}
			}
		}
	}
}

func loosen(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.AdditionalProperties == false {
		s.AdditionalProperties = nil
	}
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	loosen(s.Items)
	for _, p := range s.Properties {
		loosen(p)
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		loosen(values)
	}
}
