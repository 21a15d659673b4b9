package queen_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/worker"
)

const chatPath = "/v1/chat/completions"

// court is a queen with the workers that a test gives her.
type court struct {
	t    *testing.T
	her  *queen.Queen
	url  string
	stop func()
}

func holdCourt(t *testing.T, cfg queen.Config) court {
	t.Helper()
	her := queen.New(cfg)
	url, stop := run(t, her.Run)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return court{t, her, url, stop}
}

// introduce registers a worker and has it online.
func (c court) introduce(w registry.Component) {
	c.t.Helper()
	q := queenClient(c.t, c.url)
	if _, err := q.Register(c.t.Context(), w); err != nil {
		c.t.Fatal(err)
	}
	if err := q.Heartbeat(c.t.Context(), w); err != nil {
		c.t.Fatal(err)
	}
}

// hire introduces a built-in worker.
func (c court) hire(cfg worker.Config) (registry.Component, func()) {
	c.t.Helper()
	url, stop := run(c.t, worker.New(cfg).Run)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if status, _, _ := ask(c.t, "GET", url+"/health", ""); status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatal("the worker is never healthy")
		}
	}
	w := componentAt(c.t, url)
	w.Model = cfg.Model
	c.introduce(w)
	return w, stop
}

// hireModel introduces a worker that answers every request to its model with h.
func (c court) hireModel(model string, h http.HandlerFunc) registry.Component {
	c.t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", h)
	srv := httptest.NewServer(mux)
	c.t.Cleanup(srv.Close)
	w := componentAt(c.t, srv.URL)
	w.Model = model
	c.introduce(w)
	return w
}

// idle waits until no request is counted anywhere.
func (c court) idle() {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); c.her.Busy() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("requests are still counted at %d workers", c.her.Busy())
		}
	}
}

func (c court) chat(body string) (status int, header http.Header, answer map[string]any) {
	c.t.Helper()
	return ask(c.t, "POST", c.url+chatPath, body)
}

// stream opens a chat; the caller closes the body.
func (c court) stream(body string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url+chatPath, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// events reads a stream's data to its end, and returns how it ended.
func events(body io.Reader) (data []string, err error) {
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		if text, found := strings.CutPrefix(lines.Text(), "data: "); found {
			data = append(data, text)
		}
	}
	return data, lines.Err()
}

// failing is OpenAI's error in an answer, or in an event.
func failing(t *testing.T, from any) (code, message string) {
	t.Helper()
	var refusal struct {
		Error struct{ Code, Message, Type string }
	}
	text, is := from.(string)
	if !is {
		body, err := json.Marshal(from)
		if err != nil {
			t.Fatal(err)
		}
		text = string(body)
	}
	if err := json.Unmarshal([]byte(text), &refusal); err != nil {
		t.Fatalf("%q is no error: %v", text, err)
	}
	return refusal.Error.Code, refusal.Error.Message
}

func chatOf(model string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hello there"}]}`, model)
}

func streamOf(model string) string { return strings.Replace(chatOf(model), "{", `{"stream":true,`, 1) }
