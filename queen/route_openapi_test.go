package queen_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/worker"
)

// What she answers to clients of models, and what she passes on, is as it is described.
func TestAnswersOfModelsAreAsDescribed(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	hasty := holdCourt(t, queen.Config{Limits: queen.Limits{FirstByte: 50 * time.Millisecond}})
	doc := document(t, c.url)
	c.hire(worker.Config{Model: "tiny"})
	c.hire(worker.Config{Model: "fails", Faults: worker.Faults{FailOn: 1}})
	gone := nobody(t, "gone")
	gone.Model = "gone"
	c.introduce(gone)
	hasty.hireModel("mute", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else nobody notices that we are given up
		<-r.Context().Done()
	})
	away := modelServer(t, http.NotFound)
	away.Model = "away"
	if _, err := queenClient(t, c.url).Register(t.Context(), away); err != nil {
		t.Fatal(err)
	}
	herself := componentAt(t, c.url)
	herself.ID, herself.Model = "herself", "loop"
	c.introduce(herself)
	for _, q := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/models", "", 200},
		{"GET", "/v1/models/tiny", "", 200},
		{"GET", "/v1/models/none", "", 404},
		{"GET", "/v1/models/away", "", 503},
		{"POST", chatPath, chatOf("tiny"), 200},
		{"POST", chatPath, streamOf("tiny"), 200},
		{"POST", "/v1/completions", `{"model":"tiny","prompt":"one"}`, 200},
		{"POST", "/v1/completions", `{"model":"tiny","prompt":"one","stream":true}`, 200},
		{"POST", "/v1/embeddings", `{"model":"tiny","input":"one"}`, 200},
		{"POST", chatPath, `{`, 400},
		{"POST", chatPath, `{}`, 400},
		{"POST", chatPath, `{"model":7}`, 422},
		{"POST", chatPath, `{"model":"tiny"}`, 422}, // the worker's
		{"POST", chatPath, `{"model":"` + strings.Repeat("x", httpd.MaxPrompt) + `"}`, 413},
		{"POST", chatPath, chatOf("none"), 404},
		{"POST", chatPath, chatOf("away"), 503},
		{"POST", chatPath, chatOf("gone"), 502},
		{"POST", chatPath, chatOf("mute"), 504},
		{"POST", chatPath, chatOf("loop"), 508},
		{"POST", chatPath, chatOf("fails"), 500}, // the worker's
	} {
		at := c.url
		if q.status == http.StatusGatewayTimeout {
			at = hasty.url
		}
		status, header, body := whole(t, q.method, at+q.path, q.body)
		if status != q.status {
			t.Errorf("%s %s %.80s: %d, want %d: %s", q.method, q.path, q.body, status, q.status, body)
		}
		path := q.path
		if strings.HasPrefix(path, "/v1/models/") {
			path = "/v1/models/{id}"
		}
		if err := doc.Check(q.method+" "+path, status, header, body); err != nil {
			t.Error(err)
		}
	}
}
