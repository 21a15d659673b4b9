package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestResolveID(t *testing.T) {
	ids := []string{"web", "web-2", "webcam", "worker-llm-8081", "worker-llm-8080@box2", "queen-rbee"}
	for _, test := range []struct {
		typed string
		want  string // or what the error says
		fails bool
	}{
		{"web", "web", false}, // though it begins others
		{"web-", "web-2", false},
		{"webc", "webcam", false},
		{"q", "queen-rbee", false},
		{"worker-llm-8080", "worker-llm-8080@box2", false},
		{"we", `"we" begins more than one id: web, web-2, webcam`, true},
		{"worker", `"worker" begins more than one id: worker-llm-8080@box2, worker-llm-8081`, true},
		{"cam", `"cam" is no id, and none begins with it: there is queen-rbee, web, web-2, webcam, worker-llm-8080@box2, worker-llm-8081`, true},
		{"Web", `"Web" is no id, and none begins with it: there is queen-rbee, web, web-2, webcam, worker-llm-8080@box2, worker-llm-8081`, true},
		{"", "the id is empty", true},
	} {
		got, err := resolveID(test.typed, ids)
		if (err != nil) != test.fails {
			t.Errorf("%q: %q, %v", test.typed, got, err)
		}
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: %s, not %s", test.typed, got, test.want)
		}
	}
}

// Nothing resolves to the only one there is, which a stop would then hit.
func TestResolveNoID(t *testing.T) {
	if got, err := resolveID("", []string{"web"}); err == nil {
		t.Errorf("an empty id is %q", got)
	}
	if _, err := resolveID("web", nil); err == nil || !strings.HasSuffix(err.Error(), "there is none") {
		t.Errorf("%v", err)
	}
}

func TestEnumerateMany(t *testing.T) {
	var ids []string
	for i := range 12 {
		ids = append(ids, fmt.Sprintf("worker-%02d", i))
	}
	want := strings.Join(ids[:10], ", ") + " and 2 more"
	if got := enumerate(ids); got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
