package registry_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

// Whatever is registered comes back as it was, in the shape of the answers too.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		`{"component_type":"worker","component_id":"worker-llm-8080","hostname":"localhost","port":8080,"metadata":{"worker_type":"llm","model":"m"}}`,
		`{"worker_id":"w","hostname":"h","port":1,"worker_type":"llm","model":null,"hive_id":"box"}`,
		`{"hive_id":"box","hostname":"::1","port":65535,"metadata":{"":{"a":[1,2.5,null]}}}`,
		`{"component_type":"queen"}`, `{"worker_id":"a","component_id":"b"}`, `{"worker_id":"\u0000<&>\ud800"}`, `{"port":-1}`, `[]`, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var form registry.Form
		if json.Unmarshal(text, &form) != nil {
			return
		}
		c, err := form.Component()
		var field *registry.FieldError
		if err != nil {
			if !errors.As(err, &field) || field.Field == "" {
				t.Fatalf("%s: the error names no field: %v", text, err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			if !errors.As(err, &field) || field.Field == "" {
				t.Fatalf("%s: the error names no field: %v", text, err)
			}
			return
		}
		kept, err := json.Marshal(registry.Entry{Component: c, Status: registry.Online})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var back registry.Entry
		if err := json.Unmarshal(kept, &back); err != nil || !reflect.DeepEqual(back.Component, c) {
			t.Fatalf("%s is kept as %s, and that comes back as %+v, %v, not %+v", text, kept, back, err, c)
		}
	})
}

// A client survives what it is answered.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"epoch":"e","revision":1,"hives":[],"workers":[{"worker_id":"w","status":"online","registered_at":"2026-11-01T00:00:00Z"}],"queen":null,"gui":null}`,
		`{"worker_id":"w","heartbeat_seconds":1e300,"revision":18446744073709551615,"note":""}`,
		`{"revision":2,"op":"expired","component":{"component_type":"gui","component_id":"g"}}`,
		`{"workers":[{"metadata":{"model":7}}]}`, `null`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, into := range []any{&registry.Snapshot{}, &registry.Receipt{}, &registry.Change{}, &registry.Refusal{}, &registry.Acknowledgement{}} {
			if json.Unmarshal(text, into) != nil {
				continue
			}
			if _, err := json.Marshal(into); err != nil {
				t.Fatalf("%s: %T can't be written again: %v", text, into, err)
			}
		}
	})
}
