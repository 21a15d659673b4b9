package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/apitest"
	"github.com/rbee-launch/rbee-launch/worker"
)

// A client that stops in the midst of a body is cut off, wanted or not.
func TestHalfABodyIsCutOff(t *testing.T) {
	t.Parallel()
	at := startReady(t, worker.Config{ReadTime: 100 * time.Millisecond}).url
	for _, q := range []struct{ host, path, answer string }{
		{"localhost", "POST /v1/chat/completions", "HTTP/1.1 408"},
		{"evil.example", "POST /v1/chat/completions", "HTTP/1.1 403"},
		{"localhost", "POST /nothing", "HTTP/1.1 404"},
		{"localhost", "POST /health", "HTTP/1.1 405"},
	} {
		answer, err := apitest.HalfABody(at, q.host, q.path)
		if err != nil || !strings.HasPrefix(answer, q.answer) {
			t.Errorf("%s at %s: %v, %q", q.path, q.host, err, answer)
		}
	}
}
