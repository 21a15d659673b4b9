package queen_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/worker"
)

// The endpoints, with a worker that a launcher would start.
func TestRequestsReachAWorkerThatServesTheModel(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	c.hire(worker.Config{Model: "other"})
	w, _ := c.hire(worker.Config{Model: "org/tiny"})
	for path, body := range map[string]string{
		chatPath:          chatOf("org/tiny"),
		"/v1/completions": `{"model":"org/tiny","prompt":"one"}`,
		"/v1/embeddings":  `{"model":"org/tiny","input":"one"}`,
	} {
		status, header, answer := ask(t, "POST", c.url+path, body)
		if status != http.StatusOK || answer["model"] != "org/tiny" {
			t.Errorf("%s: %d %v", path, status, answer)
		}
		if got := header.Get("x-rbee-worker"); got != w.ID {
			t.Errorf("%s: the answer is of %q", path, got)
		}
		if len(header.Get("X-Request-ID")) != 26 {
			t.Errorf("%s: the request's id is %q", path, header.Get("X-Request-ID"))
		}
	}
	resp := c.stream(streamOf("org/tiny"))
	defer resp.Body.Close()
	data, err := events(resp.Body)
	if err != nil || len(data) != 15 || data[14] != "[DONE]" || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("the stream is %v %q, %v", resp.Header, data, err)
	}
	c.idle()
}

func TestModelsAreThoseOfAllWorkers(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	if got := get(t, c.url+"/v1/models"); got != `{"object":"list","data":[]}`+"\n" {
		t.Errorf("of nobody: %s", got)
	}
	c.hireModel("org/b", http.NotFound)
	c.hireModel("org/b", http.NotFound)
	w := modelServer(t, http.NotFound)
	w.ID, w.Model, w.Metadata = "lists", "named", map[string]any{"alias": "also", "capabilities": map[string]any{"models": []any{"a", 7, "z"}}}
	c.introduce(w)
	if _, err := queenClient(t, c.url).Register(t.Context(), modelServer(t, http.NotFound)); err != nil { // "tiny", not online
		t.Fatal(err)
	}
	var list struct {
		Data []struct {
			ID      string
			Created int64
			OwnedBy string `json:"owned_by"`
		}
	}
	if err := json.Unmarshal([]byte(get(t, c.url+"/v1/models")), &list); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range list.Data {
		ids = append(ids, m.ID)
		if m.Created == 0 || m.OwnedBy != "rbee" {
			t.Errorf("%+v", m)
		}
	}
	if want := []string{"a", "also", "named", "org/b", "z"}; !slices.Equal(ids, want) {
		t.Errorf("the models are %q, want %q", ids, want)
	}
	for id, want := range map[string]int{"org/b": 200, "z": 200, "tiny": 503, "nothing": 404, "": 404} {
		status, _, answer := ask(t, "GET", c.url+"/v1/models/"+id, "")
		if status != want || want == 200 && (answer["id"] != id || answer["created"] == 0.0) {
			t.Errorf("%s: %d %v, want %d", id, status, answer, want)
		}
	}
}

func TestWhatIsRefusedAndWhy(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	c.hireModel("here", http.NotFound)
	if _, err := queenClient(t, c.url).Register(t.Context(), modelServer(t, http.NotFound)); err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct {
		name, path, body string
		status           int
		code, says       string
		param            any
	}{
		{"unknown model", chatPath, chatOf("gone"), 404, "model_not_found", `there are "here"`, "model"},
		{"not online", chatPath, chatOf("tiny"), 503, "no_worker_online", "is registered", "model"},
		{"no model", chatPath, `{"messages":[]}`, 400, "model_needed", `there are "here"`, "model"},
		{"null", chatPath, `{"model":null}`, 400, "model_needed", `there are "here"`, "model"},
		{"a number", chatPath, `{"model":7}`, 422, "invalid_field", "number", "model"},
		{"no JSON", chatPath, `{"model":"here"`, 400, "bad_json", "no JSON", nil},
		{"nothing", "/v1/embeddings", ``, 400, "bad_json", "empty", nil},
		{"too large", "/v1/completions", `{"model":"` + strings.Repeat("x", httpd.MaxPrompt) + `"}`, 413, "body_too_large", "16777216", nil},
		{"unknown path", "/v1/responses", `{}`, 404, "unknown_path", "/v1/responses", nil},
	} {
		status, header, answer := ask(t, "POST", c.url+q.path, q.body)
		e, _ := answer["error"].(map[string]any)
		message, _ := e["message"].(string)
		if status != q.status || e["code"] != q.code || e["param"] != q.param || !strings.Contains(message, q.says) {
			t.Errorf("%s: %d %v", q.name, status, answer)
		}
		if (header.Get("Retry-After") != "") != (status == 503) {
			t.Errorf("%s: Retry-After is %q", q.name, header.Get("Retry-After"))
		}
	}
	if status, header, _ := ask(t, "POST", c.url+"/v1/queen/nothing", ""); status != 404 || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("her own unknown paths: %d %v", status, header)
	}
}

func TestTheWorkerWithTheFewestRequestsIsAsked(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	const each = 5
	arrived, leave := make(chan string), make(chan struct{})
	for range 2 {
		c.hireModel("m", func(rw http.ResponseWriter, r *http.Request) {
			arrived <- r.Host
			<-leave
			fmt.Fprint(rw, `{}`)
		})
	}
	counts := map[string]int{}
	var asking sync.WaitGroup
	for range 2 * each {
		asking.Go(func() { c.chat(chatOf("m")) })
		counts[<-arrived]++
	}
	close(leave)
	asking.Wait()
	for w, n := range counts {
		if n != each {
			t.Errorf("%s got %d requests of %d", w, n, 2*each)
		}
	}
	c.idle()
}

// Requests that come one after the other find all workers idle, and are spread, too.
func TestNotAlwaysTheFirst(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	for range 2 {
		c.hireModel("m", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, `{}`) })
	}
	seen := map[string]bool{}
	for range 200 { // that one of two is drawn each time happens once in 2^199 runs
		_, header, _ := c.chat(chatOf("m"))
		if seen[header.Get("x-rbee-worker")] = true; len(seen) == 2 {
			return
		}
	}
	t.Errorf("only %v was ever asked", seen)
}

// A worker that was registered with one name, and serves the model under another, is asked
// for the latter; all else of the request stays.
func TestTheWorkerHearsItsOwnNameOfTheModel(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	bodies := make(chan string, 1)
	w := c.hireModel("m", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		fmt.Fprint(rw, `{}`)
	})
	for _, q := range []struct{ model, alias, served, asked, heard string }{
		{"./m.gguf", "", `["m-q4"]`, "./m.gguf", "m-q4"},
		{"./m.gguf", "", `["m-q4"]`, "m-q4", "m-q4"},
		{"m", "", `["m","lora"]`, "lora", "lora"},
		{"m", "", `["m:latest","other"]`, "m", "m"}, // which of them is a guess that is not ours
		{"rbee-1f", "tiny", `["rbee-1f:latest","other"]`, "tiny", "rbee-1f"},
		{"rbee-1f", "tiny", `["rbee-1f:latest"]`, "tiny", "rbee-1f:latest"},
		{"rbee-1f", "tiny", `["rbee-1f","tiny"]`, "tiny", "tiny"},
	} {
		w.Model, w.Metadata = q.model, map[string]any{"alias": q.alias, "capabilities": map[string]any{"models": json.RawMessage(q.served)}}
		c.introduce(w)
		sent := fmt.Sprintf(`{"seed":9007199254740993, "model":%q,"messages":[{"content":"<&>"}]}`, q.asked)
		if status, _, answer := c.chat(sent); status != http.StatusOK {
			t.Fatalf("%v: %d %v", q, status, answer)
		}
		heard := <-bodies
		var got struct {
			Model    string
			Seed     json.Number
			Messages []struct{ Content string }
		}
		if err := json.Unmarshal([]byte(heard), &got); err != nil {
			t.Fatal(err)
		}
		if got.Model != q.heard || got.Seed != "9007199254740993" || got.Messages[0].Content != "<&>" {
			t.Errorf("%v: the worker heard %s", q, heard)
		}
		if q.asked == q.heard && heard != sent {
			t.Errorf("%v: %s became %s", q, sent, heard)
		}
	}
}

func TestHeadersOfOneConnectionAndOfTheQueenStay(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{Token: "secret"})
	heard := make(chan *http.Request, 1)
	w := c.hireModel("m", func(rw http.ResponseWriter, r *http.Request) {
		heard <- r
		rw.Header().Set("Connection", "X-Hop")
		rw.Header().Set("X-Hop", "1")
		rw.Header().Set("Keep-Alive", "timeout=5")
		rw.Header().Set("Set-Cookie", "a=b")
		rw.Header().Set("X-Request-ID", "its own")
		rw.Header().Set("X-Engine", "e")
		rw.WriteHeader(http.StatusTeapot)
		fmt.Fprint(rw, `{"a":1}`)
	})
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.url+chatPath+"?a=b", strings.NewReader(chatOf("m")))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer client's", "Cookie": "a=b", "Origin": c.url, "Connection": "close, X-Hop", "X-Hop": "1", "Te": "trailers",
		"X-Api-Key": "k", "Idempotency-Key": "k", "Accept-Encoding": "gzip", "X-Request-ID": "client-1", "X-Session": "s", "User-Agent": "",
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := <-heard
	for name, want := range map[string]string{
		"Authorization": "", "Cookie": "", "Origin": "", "Connection": "", "X-Hop": "", "Te": "", "X-Api-Key": "", "Idempotency-Key": "",
		"Accept-Encoding": "", "X-Request-ID": "client-1", "X-Session": "s", "User-Agent": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("the worker hears %s: %q, want %q", name, got, want)
		}
	}
	if r.Host != w.Addr() || r.URL.RequestURI() != chatPath+"?a=b" {
		t.Errorf("the worker is asked for %s at %s", r.URL, r.Host)
	}
	for name, want := range map[string]string{
		"X-Hop": "", "Keep-Alive": "", "Set-Cookie": "", "X-Request-ID": "client-1", "X-Engine": "e", "X-Rbee-Worker": w.ID,
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("the client hears %s: %q, want %q", name, got, want)
		}
	}
	if resp.StatusCode != http.StatusTeapot {
		t.Errorf("the status is %d", resp.StatusCode)
	}
}

func TestBigPromptsArriveWhole(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	heard := make(chan []byte, 1)
	c.hireModel("m", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- body
		fmt.Fprint(rw, `{}`)
	})
	text := `{"model":"m","prompt":"`
	sent := text + strings.Repeat("x", httpd.MaxPrompt-len(text)-2) + `"}`
	if status, _, answer := ask(t, "POST", c.url+"/v1/completions", sent); status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	if got := <-heard; !bytes.Equal(got, []byte(sent)) {
		t.Errorf("of %d bytes %d arrived", len(sent), len(got))
	}
}

func TestTheQueenSaysThatSheRoutes(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	_, _, caps := ask(t, "GET", c.url+"/capabilities", "")
	list, _ := caps["endpoints"].([]any)
	if caps["routing"] != true || !slices.Contains(list, any(chatPath)) {
		t.Errorf("%v", caps)
	}
}

// A worker that is asked for its capabilities is found under what it tells.
func TestAWorkersOwnWordCounts(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	url, _ := run(t, worker.New(worker.Config{Model: "served"}).Run)
	w := componentAt(t, url)
	w.Model = "registered"
	c.introduce(w)
	await(t, queenClient(t, c.url), "its capabilities", func(l []client.Worker) bool { return l[0].CapabilitiesFrom == "worker" })
	for _, name := range []string{"served", "registered"} {
		if status, _, answer := c.chat(chatOf(name)); status != http.StatusOK || answer["model"] != "served" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
}

// TestWhoIsNotLetInIsToldInTheShapeOfTheProtocol: clients of models read no other.
func TestWhoIsNotLetInIsToldInTheShapeOfTheProtocol(t *testing.T) {
	t.Parallel()
	url, _ := startQueen(t, queen.Config{})
	for path, within := range map[string]bool{"/v1/models": true, chatPath: true, "/v1/queen/workers": false, "/health": false} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "evil.example"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden || strings.Contains(string(body), `"error":{`) != within {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

// TestALongNameIsNotRepeated: an error is no longer than people read.
func TestALongNameIsNotRepeated(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	status, _, answer := c.chat(chatOf(strings.Repeat("x", 20_000)))
	if _, message := failing(t, answer); status != http.StatusNotFound || len(message) > 400 || !strings.Contains(message, "x…") {
		t.Errorf("%d, %d bytes", status, len(message))
	}
	for _, path := range []string{"/v1", "//v1/models"} {
		if status, _, answer := ask(t, "GET", c.url+path, ""); status != http.StatusNotFound || answer["code"] != "unknown_path" {
			t.Errorf("%s: %d %v", path, status, answer)
		}
	}
}
