package worker_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/worker"
)

const (
	helloChat  = `{"model":"tiny","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello\nthere"}]}`
	helloReply = "This is a simulation, no model was run. You said: hello\nthere"
)

func TestModelsAreListedOneByOneAndRefused(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "org/tiny"})
	_, _, list := r.ask(t, "GET", "/v1/models", "")
	if got := at(list, "data", 0, "id"); got != "org/tiny" {
		t.Errorf("the list names %v", got)
	}
	if _, _, one := r.ask(t, "GET", "/v1/models/org/tiny", ""); one["id"] != "org/tiny" || one["simulation"] != true {
		t.Errorf("one model is %v", one)
	}
	status, _, refused := r.ask(t, "GET", "/v1/models/other", "")
	if status != http.StatusNotFound || at(refused, "error", "code") != "model_not_found" {
		t.Errorf("another model: %d %v", status, refused)
	}
}

func TestChatSaysThatItIsASimulationAndEchoesTheUser(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny"})
	_, _, answer := r.ask(t, "POST", "/v1/chat/completions", helloChat)
	if got := at(answer, "choices", 0, "message", "content"); got != helloReply {
		t.Errorf("it says %q", got)
	}
	if got := at(answer, "choices", 0, "finish_reason"); got != "stop" {
		t.Errorf("it finished because of %v", got)
	}
	want := map[string]any{"prompt_tokens": 4.0, "completion_tokens": 12.0, "total_tokens": 16.0}
	if got := answer["usage"]; !reflect.DeepEqual(got, want) {
		t.Errorf("usage is %v, want %v", got, want)
	}
}

func TestChatTakesPartsAndStopsAtMaxTokens(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny"})
	_, _, answer := r.ask(t, "POST", "/v1/chat/completions", `{"model":"tiny","max_completion_tokens":11,
		"messages":[{"role":"user","content":[{"type":"image_url"},{"type":"text","text":"one two"}]}]}`)
	if got := at(answer, "choices", 0, "message", "content"); got != "This is a simulation, no model was run. You said: one" {
		t.Errorf("it says %q", got)
	}
	if got := at(answer, "choices", 0, "finish_reason"); got != "length" {
		t.Errorf("it finished because of %v", got)
	}
}

func TestStreamedChatIsTheWholeOneInPieces(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", TokensPerSecond: 1000})
	resp := r.send(t, "POST", "/v1/chat/completions",
		strings.Replace(helloChat, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1))
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("the content type is %q", got)
	}
	data, err := events(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	said, chunks := join(t, data, "delta", "content")
	if said != helloReply {
		t.Errorf("it says %q", said)
	}
	if len(chunks) != 12+3 { // tokens, the opening, the closing, the usage
		t.Errorf("there are %d chunks: %v", len(chunks), data)
	}
	if got := at(chunks[0], "choices", 0, "delta", "role"); got != "assistant" {
		t.Errorf("the first chunk's role is %v", got)
	}
	if got := at(chunks[13], "choices", 0, "finish_reason"); got != "stop" {
		t.Errorf("it finished because of %v", got)
	}
	if got := at(chunks[14], "usage", "total_tokens"); got != 16.0 {
		t.Errorf("the usage is %v", chunks[14])
	}
}

// join puts a stream's text together, and insists on [DONE] at its end.
func join(t *testing.T, data []string, path ...any) (said string, chunks []any) {
	t.Helper()
	if len(data) == 0 || data[len(data)-1] != "[DONE]" {
		t.Fatalf("the stream does not end with [DONE]: %v", data)
	}
	for _, line := range data[:len(data)-1] {
		var chunk any
		if err := json.Unmarshal([]byte(line), &chunk); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		text, _ := at(chunk, append([]any{"choices", 0}, path...)...).(string)
		said += text
		chunks = append(chunks, chunk)
	}
	return said, chunks
}

func TestCompletionsAnswerEachPrompt(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny"})
	_, _, answer := r.ask(t, "POST", "/v1/completions", `{"model":"tiny","prompt":["one","two"]}`)
	for i, want := range []string{"one", "two"} {
		want = "This is a simulation, no model was run. The prompt was: " + want
		if got := at(answer, "choices", i, "text"); got != want {
			t.Errorf("answer %d is %q", i, got)
		}
	}
	resp := r.send(t, "POST", "/v1/completions", `{"model":"tiny","prompt":"one","stream":true}`)
	defer resp.Body.Close()
	data, err := events(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if said, _ := join(t, data, "text"); said != at(answer, "choices", 0, "text") {
		t.Errorf("streamed it says %q", said)
	}
}

func TestEmbeddingsFollowFromTheInputAlone(t *testing.T) {
	t.Parallel()
	a := startReady(t, worker.Config{Model: "tiny"})
	b := startReady(t, worker.Config{Model: "tiny"})
	const body = `{"model":"tiny","dimensions":8,"input":["red fox","red fox jumps","blue whale"]}`
	first, second := embed(t, a, body), embed(t, b, body)
	if !reflect.DeepEqual(first, second) {
		t.Errorf("two workers disagree: %v and %v", first, second)
	}
	for i, v := range first {
		if len(v) != 8 || math.Abs(dot(v, v)-1) > 1e-6 {
			t.Errorf("vector %d has %d dimensions and the square %v", i, len(v), dot(v, v))
		}
	}
	if near, far := dot(first[0], first[1]), dot(first[0], first[2]); near <= far {
		t.Errorf("texts that share words are no nearer: %v against %v", near, far)
	}
	if got := embed(t, a, `{"model":"tiny","input":"red fox"}`); len(got[0]) != 256 {
		t.Errorf("without a wish there are %d dimensions", len(got[0]))
	}
}

func TestEmbeddingsInBase64AreTheSameNumbers(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny"})
	want := embed(t, r, `{"model":"tiny","dimensions":3,"input":"red fox"}`)[0]
	_, _, answer := r.ask(t, "POST", "/v1/embeddings", `{"model":"tiny","dimensions":3,"input":"red fox","encoding_format":"base64"}`)
	text, _ := at(answer, "data", 0, "embedding").(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 12 {
		t.Fatalf("%q is no base64 of 12 bytes: %v", text, err)
	}
	for i := range want {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])); got != want[i] {
			t.Errorf("number %d is %v, want %v", i, got, want[i])
		}
	}
}

func embed(t *testing.T, r running, body string) (vectors [][]float32) {
	t.Helper()
	_, _, answer := r.ask(t, "POST", "/v1/embeddings", body)
	list, _ := answer["data"].([]any)
	if len(list) == 0 {
		t.Fatalf("no embeddings: %v", answer)
	}
	for _, item := range list {
		numbers, _ := at(item, "embedding").([]any)
		var v []float32
		for _, n := range numbers {
			v = append(v, float32(n.(float64)))
		}
		vectors = append(vectors, v)
	}
	return vectors
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestErrorsHaveOpenAIsShape(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", ContextLength: 3})
	const chat = "/v1/chat/completions"
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     string
		param                    any
	}{
		{"unknown path", "GET", "/v1/nothing", "", 404, "unknown_path", nil},
		{"wrong method", "GET", chat, "", 405, "method_not_allowed", nil},
		{"no JSON", "POST", chat, "{", 400, "bad_json", nil},
		{"no body", "POST", chat, "", 400, "bad_json", nil},
		{"a list", "POST", chat, "[]", 422, "invalid_field", nil},
		{"too large", "POST", chat, `{"model":"` + strings.Repeat("x", httpd.MaxPrompt) + `"}`, 413, "body_too_large", nil},
		{"no model", "POST", chat, `{"messages":[]}`, 404, "model_not_found", "model"},
		{"another model", "POST", chat, `{"model":"huge","messages":[]}`, 404, "model_not_found", "model"},
		{"no messages", "POST", chat, `{"model":"tiny"}`, 422, "invalid_field", "messages"},
		{"messages of a wrong type", "POST", chat, `{"model":"tiny","messages":"hi"}`, 422, "invalid_field", "messages"},
		{"content of a wrong type", "POST", chat, `{"model":"tiny","messages":[{"role":"user","content":7}]}`, 422, "invalid_field", "messages.content"},
		{"stream of a wrong type", "POST", chat, `{"model":"tiny","stream":"yes"}`, 422, "invalid_field", "stream"},
		{"two answers", "POST", chat, `{"model":"tiny","n":2,"messages":[]}`, 422, "invalid_field", "n"},
		{"no tokens", "POST", chat, `{"model":"tiny","max_tokens":0,"messages":[]}`, 422, "invalid_field", "max_tokens"},
		{"too long", "POST", chat, `{"model":"tiny","messages":[{"role":"user","content":"a b c"}]}`, 400, "context_length_exceeded", nil},
		{"no prompt", "POST", "/v1/completions", `{"model":"tiny"}`, 422, "invalid_field", "prompt"},
		{"prompt of a wrong type", "POST", "/v1/completions", `{"model":"tiny","prompt":[1,2]}`, 422, "invalid_field", "prompt"},
		{"no input", "POST", "/v1/embeddings", `{"model":"tiny"}`, 422, "invalid_field", "input"},
		{"too many dimensions", "POST", "/v1/embeddings", `{"model":"tiny","input":"a","dimensions":4097}`, 422, "invalid_field", "dimensions"},
		{"an unknown encoding", "POST", "/v1/embeddings", `{"model":"tiny","input":"a","encoding_format":"hex"}`, 422, "invalid_field", "encoding_format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, _, answer := r.ask(t, c.method, c.path, c.body)
			e, _ := answer["error"].(map[string]any)
			if status != c.status || e["code"] != c.code || e["param"] != c.param {
				t.Errorf("%d %v, want %d %s with param %v", status, answer, c.status, c.code, c.param)
			}
			if e["type"] != "invalid_request_error" || e["message"] == "" {
				t.Errorf("the error is %v", e)
			}
		})
	}
}

func TestOtherUnknownPathsAreProblems(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{})
	status, header, answer := r.ask(t, "GET", "/nothing", "")
	if status != http.StatusNotFound || header.Get("Content-Type") != "application/problem+json" || answer["code"] != "unknown_path" {
		t.Errorf("%d %v %v", status, header, answer)
	}
}
