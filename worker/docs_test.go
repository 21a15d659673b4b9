package worker

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What stands for a request in the document has the fields that are decoded.
func TestRequestsAreDescribedAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		read      any
		described []any
	}{
		{generation{}, []any{chatRequest{}, completionRequest{}}},
		{generation{}.StreamOptions, []any{streamOptions{}}},
		{message{}, []any{chatMessage{}}},
		{embeddingRequest{}, []any{embeddingsRequest{}}},
	} {
		if got, want := names(c.described...), names(c.read); !slices.Equal(got, want) {
			t.Errorf("%T: described are %q, read are %q", c.read, got, want)
		}
	}
}

func names(of ...any) []string {
	all := map[string]bool{}
	for _, v := range of {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
