package worker_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/worker"
)

func TestCapabilitiesTellTheTruth(t *testing.T) {
	t.Parallel()
	r := start(t, worker.Config{Model: "tiny", Faults: worker.Faults{NeverReady: true}}) // answered while loading, too
	_, _, caps := r.ask(t, "GET", "/capabilities", "")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(r.url, "http://"))
	for name, want := range map[string]any{
		"worker_id": "worker-llm-" + port, "worker_type": "llm", "model": "tiny", "simulation": true, "context_length": 4096.0,
	} {
		if caps[name] != want {
			t.Errorf("%s is %v, want %v", name, caps[name], want)
		}
	}
}

func TestANameForOtherMachinesHasTheHostInIt(t *testing.T) {
	t.Parallel()
	r := start(t, worker.Config{Advertise: "box2"})
	_, _, caps := r.ask(t, "GET", "/capabilities", "")
	if id, _ := caps["worker_id"].(string); !strings.HasSuffix(id, "@box2") {
		t.Errorf("the id is %q", id)
	}
}

func TestWhileLoadingItAnswers503AndLogsProgress(t *testing.T) {
	t.Parallel()
	var log lines
	r := start(t, worker.Config{Model: "tiny", Faults: worker.Faults{NeverReady: true}, Log: log.logger()})
	status, _, health := r.ask(t, "GET", "/health", "")
	if status != http.StatusServiceUnavailable || health["status"] != "loading" {
		t.Errorf("/health: %d %v", status, health)
	}
	status, header, answer := r.ask(t, "POST", "/v1/chat/completions", helloChat)
	if status != http.StatusServiceUnavailable || at(answer, "error", "code") != "loading" || header.Get("Retry-After") == "" {
		t.Errorf("a chat: %d %v", status, answer)
	}
	for !strings.Contains(log.String(), "never ready") { // it loads beside the answering
		time.Sleep(time.Millisecond)
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	for _, want := range []string{"simulation", "percent=10\n", "percent=90\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "percent=100") {
		t.Errorf("it loaded all the same:\n%s", log.String())
	}
}

func TestFaultsOfHealthAndRequests(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", Faults: worker.Faults{FailOn: 2}})
	for i, want := range []int{200, 500, 200} {
		status, _, answer := r.ask(t, "POST", "/v1/chat/completions", helloChat)
		if status != want {
			t.Errorf("request %d: %d, want %d", i+1, status, want)
		}
		if status == 500 && (at(answer, "error", "code") != "simulated_failure" || at(answer, "error", "type") != "server_error") {
			t.Errorf("the failure is %v", answer)
		}
	}
	sick := start(t, worker.Config{Faults: worker.Faults{UnhealthyAfter: time.Millisecond}})
	sick.await(t, http.StatusServiceUnavailable)
	for { // loading is 503 too: wait for the fault itself
		if _, _, health := sick.ask(t, "GET", "/health", ""); health["status"] == "failing" {
			break
		}
	}
}

func TestACrashEndsRunAndAbortsItsRequest(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", Faults: worker.Faults{CrashOn: 2}})
	if status, _, _ := r.ask(t, "POST", "/v1/chat/completions", helloChat); status != http.StatusOK {
		t.Errorf("the request before: %d", status)
	}
	resp, err := http.Post(r.url+"/v1/chat/completions", "application/json", strings.NewReader(helloChat))
	if err == nil {
		resp.Body.Close()
		t.Errorf("the request was answered with %s", resp.Status)
	}
	if err := <-r.done; !errors.Is(err, worker.ErrCrashed) {
		t.Errorf("Run: %v", err)
	}
	late := start(t, worker.Config{Faults: worker.Faults{CrashAfter: time.Millisecond}})
	if err := <-late.done; !errors.Is(err, worker.ErrCrashed) {
		t.Errorf("Run: %v", err)
	}
}

func TestACrashCutsStreamsWithoutAWord(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", TokensPerSecond: 0.001, Drain: time.Hour, Faults: worker.Faults{CrashOn: 2}})
	resp := openStream(t, r)
	defer resp.Body.Close()
	if other, err := http.Post(r.url+"/v1/embeddings", "application/json", strings.NewReader(`{}`)); err == nil {
		other.Body.Close()
	}
	data, err := events(resp.Body)
	if err == nil || strings.Contains(strings.Join(data, ""), "error") {
		t.Errorf("the stream ended with %v after %v", err, data)
	}
}

func TestAStopCutsStreamsWithAnErrorAndAnAbort(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", TokensPerSecond: 0.001, Drain: time.Millisecond})
	resp := openStream(t, r)
	defer resp.Body.Close()
	r.stop()
	data, err := events(resp.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the stream ended with %v: its client takes it for whole", err)
	}
	if last := data[len(data)-1]; !strings.Contains(last, `"error"`) || !strings.Contains(last, "stopping") {
		t.Errorf("the last event is %s", last)
	}
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestAStopLetsRunningAnswersFinish(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", TokensPerSecond: 100, Drain: time.Minute})
	resp := openStream(t, r)
	defer resp.Body.Close()
	r.stop()
	data, err := events(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	join(t, data) // insists on [DONE]
}

func TestAHangUpStopsGeneration(t *testing.T) {
	t.Parallel()
	r := startReady(t, worker.Config{Model: "tiny", TokensPerSecond: 0.001})
	resp := openStream(t, r)
	if got := metric(t, r, "rbee_worker_requests_running"); got != 1 {
		t.Errorf("%v requests are running", got)
	}
	resp.Body.Close()
	for deadline := time.Now().Add(20 * time.Second); metric(t, r, "rbee_worker_requests_running") != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it generates for nobody")
		}
	}
	if got := metric(t, r, `rbee_worker_requests_total{endpoint="chat",result="aborted"}`); got != 1 {
		t.Errorf("%v requests were aborted", got)
	}
}

// Not parallel: it looks at the memory of the whole process.
func TestMemoryIsReallyTakenAndGivenBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc")
	}
	const size, most = 128 << 20, 96 << 20
	other := startReady(t, worker.Config{})
	resident := func() float64 { return metric(t, other, "process_resident_memory_bytes") }
	var grown, freed float64
	for range 5 { // what other tests leave may go while we look
		debug.FreeOSMemory()
		before := resident()
		r := startReady(t, worker.Config{Memory: size})
		loaded := resident()
		r.stop()
		if err := <-r.done; err != nil {
			t.Fatal(err)
		}
		grown, freed = loaded-before, loaded-resident()
		if grown >= most && freed >= most {
			return
		}
	}
	t.Errorf("it took %v bytes, and gave %v back", grown, freed)
}

// openStream asks for a streamed chat and returns once the first event came.
func openStream(t *testing.T, r running) *http.Response {
	t.Helper()
	resp := r.send(t, "POST", "/v1/chat/completions", strings.Replace(helloChat, "{", `{"stream":true,`, 1))
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), resp.Body), resp.Body}
	return resp
}

// metric reads one sample of /metrics.
func metric(t *testing.T, r running, name string) float64 {
	t.Helper()
	resp := r.send(t, "GET", "/metrics", "")
	defer resp.Body.Close()
	text, err := io.ReadAll(bufio.NewReader(resp.Body))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(text)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// lines is a log that a test can read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// TestWhoIsNotLetInIsToldInTheShapeOfTheProtocol: clients of models read no other.
func TestWhoIsNotLetInIsToldInTheShapeOfTheProtocol(t *testing.T) {
	r := startReady(t, worker.Config{})
	for path, within := range map[string]bool{"/v1/models": true, "/v1/nothing": true, "/capabilities": false} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", r.url+path, nil)
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
