package registry_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

func TestEntriesSurviveTheWire(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("CET", 3600))
	for _, c := range []registry.Component{
		{
			Kind: registry.Worker, ID: "worker-llm-8080", InstanceID: "01JD", Hostname: "box", Port: 8080,
			WorkerType: "llm", Model: "llama-3.2-1b", Metadata: map[string]any{"hive_id": "box", "gpu": 1.0},
		},
		{Kind: registry.Hive, ID: "box", Hostname: "box", Port: 7835},
		{Kind: registry.Queen, ID: "queen", Hostname: "box", Port: 7833},
		{Kind: registry.GUI, ID: "gui", Hostname: "box", Port: 5173},
	} {
		sent := registry.Receipt{
			Entry:    registry.Entry{Component: c, Status: registry.Offline, RegisteredAt: at, LastSeen: at.Add(time.Second)},
			Beat:     1500 * time.Millisecond,
			Revision: 7,
			Note:     "changed",
		}
		text, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), `"registered_at":"2026-11-23T11:00:00.123456789Z"`) {
			t.Errorf("times are not RFC 3339 in UTC: %s", text)
		}
		var got registry.Receipt
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if !got.Entry.RegisteredAt.Equal(at) || !got.Entry.LastSeen.Equal(at.Add(time.Second)) {
			t.Errorf("times came back as %v and %v", got.Entry.RegisteredAt, got.Entry.LastSeen)
		}
		got.Entry.RegisteredAt, got.Entry.LastSeen = sent.Entry.RegisteredAt, sent.Entry.LastSeen
		if !reflect.DeepEqual(got, sent) {
			t.Errorf("sent\n%+v, got\n%+v", sent, got)
		}
	}
}

func TestHiveOfAWorker(t *testing.T) {
	for _, tt := range []struct {
		metadata map[string]any
		want     string
	}{
		{nil, ""},
		{map[string]any{"hive_id": "box"}, "box"},
		{map[string]any{"spawned_by": "hive-box"}, "box"},
		{map[string]any{"spawned_by": "gui"}, ""},
		{map[string]any{"hive_id": "a", "spawned_by": "hive-b"}, "a"},
		{map[string]any{"hive_id": 7}, ""},
	} {
		if got := (registry.Component{Metadata: tt.metadata}).Hive(); got != tt.want {
			t.Errorf("the hive of %v is %q, want %q", tt.metadata, got, tt.want)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	good := registry.Component{Kind: registry.Worker, ID: "w", Hostname: "h", Port: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, spoil := range map[string]func(*registry.Component){
		"component_id": func(c *registry.Component) { c.ID = "" },
		"hostname":     func(c *registry.Component) { c.Hostname = strings.Repeat("h", registry.MaxHostname+1) },
		"port":         func(c *registry.Component) { c.Port = 0 },
		"worker_type":  func(c *registry.Component) { c.WorkerType = strings.Repeat("t", registry.MaxID+1) },
		"model":        func(c *registry.Component) { c.Model = strings.Repeat("m", registry.MaxModel+1) },
		"metadata":     func(c *registry.Component) { c.Metadata = map[string]any{"f": func() {}} },
	} {
		bad := good
		spoil(&bad)
		var wrong *registry.FieldError
		if err := bad.Validate(); !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("with a bad %s: %v", field, err)
		}
	}
}
