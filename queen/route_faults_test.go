package queen_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/worker"
)

// nobody is a worker whose port is refused.
func nobody(t *testing.T, id string) registry.Component {
	t.Helper()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	w := componentAt(t, srv.URL)
	w.ID = id
	return w
}

func TestOneThatRefusesIsReplacedByAnother(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	for i := range 3 {
		c.introduce(nobody(t, fmt.Sprint("gone-", i)))
	}
	c.hire(worker.Config{Model: "tiny"})
	for range 20 {
		if status, _, answer := c.chat(chatOf("tiny")); status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
	}
	c.idle()
	// Each of them was tried once at most: then it was passed over.
	for line := range strings.Lines(get(t, c.url+"/metrics")) {
		if n, found := strings.CutPrefix(line, "rbee_queen_workers_unreachable_total "); found && !strings.Contains("0 1 2 3", strings.TrimSpace(n)) {
			t.Errorf("workers were unreachable %s times", n)
		}
	}
}

func TestWhereNobodyAnswersTheReasonsAreTold(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	c.introduce(nobody(t, "gone-a"))
	c.introduce(nobody(t, "gone-b"))
	status, _, answer := c.chat(chatOf("tiny"))
	code, message := failing(t, answer)
	if status != http.StatusBadGateway || code != "workers_unreachable" || !containsAll(message, "gone-a at http://127.0.0.1:", "gone-b", "refused") {
		t.Errorf("%d %v", status, answer)
	}
	c.idle()
}

// Once a byte has left, another worker might answer the same request a second time.
func TestWhatMayHaveBegunIsNotRepeated(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	asked := make(chan struct{}, 10)
	for range 2 {
		c.hireModel("m", func(http.ResponseWriter, *http.Request) {
			asked <- struct{}{}
			panic(http.ErrAbortHandler)
		})
	}
	status, _, answer := c.chat(chatOf("m"))
	if code, message := failing(t, answer); status != http.StatusBadGateway || code != "worker_failed" || !strings.Contains(message, "broke off") {
		t.Errorf("%d %v", status, answer)
	}
	if len(asked) != 1 {
		t.Errorf("%d workers were asked", len(asked))
	}
	c.idle()
}

func TestAWorkersErrorIsItsOwn(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	for _, status := range []int{400, 429, 500, 503} {
		model := fmt.Sprint("m", status)
		c.hireModel(model, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "7")
			rw.WriteHeader(status)
			fmt.Fprint(rw, `{"error":{"code":"its own"}}`)
		})
		got, header, answer := c.chat(chatOf(model))
		if code, _ := failing(t, answer); got != status || code != "its own" || header.Get("Retry-After") != "7" {
			t.Errorf("%d: %d %v %v", status, got, header, answer)
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	c.hireModel("moved", http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP)
	if status, header, answer := c.chat(chatOf("moved")); status != http.StatusBadGateway || header.Get("Location") != "" {
		t.Errorf("a redirect: %d %v %v", status, header, answer)
	}
}

// raw is a worker that answers each connection's request with text, and closes it.
func raw(t *testing.T, text string) registry.Component {
	t.Helper()
	return serveConns(t, func(conn net.Conn) { _, _ = io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")) })
}

// serveConns is a worker that reads one request of each connection, answers it, and closes it.
func serveConns(t *testing.T, answer func(net.Conn)) registry.Component {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, req.Body)
				answer(conn)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return componentAt(t, "http://"+ln.Addr().String())
}

// However a worker dies in the midst of an answer, that is never taken for whole.
func TestAnswersThatAreCut(t *testing.T) {
	t.Parallel()
	const stream = "HTTP/1.1 200 OK\nContent-Type: text/event-stream; charset=utf-8\n"
	for name, q := range map[string]struct {
		answer string
		data   []string // the last of them is an error where it is ""
		whole  bool
	}{
		"chunked stream, between events": {stream + "Transfer-Encoding: chunked\n\nb\ndata: {}\n\n\n", []string{"{}", ""}, false},
		"chunked stream, in an event":    {stream + "Transfer-Encoding: chunked\n\n7\ndata: {\n", []string{"{", ""}, false},
		"chunked stream, before any":     {stream + "Transfer-Encoding: chunked\n\n", []string{""}, false},
		"stream without a length":        {stream + "\ndata: {}\n\n", []string{"{}", ""}, false},
		"the same, at its end":           {stream + "\ndata: {}\n\ndata: [DONE]\n\n", []string{"{}", "[DONE]"}, true},
		"JSON without a length":          {"HTTP/1.0 200 OK\nContent-Type: application/json\n\n{\"a\":\"}", nil, false},
		"JSON that is whole":             {"HTTP/1.0 200 OK\nContent-Type: application/json\n\n{\"a\":[\"\\\"{\"]}", nil, true},
		"text without a length":          {"HTTP/1.0 200 OK\nContent-Type: text/plain\n\n{", nil, true},
		"no stream":                      {"HTTP/1.1 200 OK\nContent-Length: 9\n\ndata: {}", []string{"{}"}, false},
		"no stream, chunked":             {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n7\ndata: {\n", []string{"{"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := holdCourt(t, queen.Config{})
			c.introduce(raw(t, q.answer))
			resp := c.stream(streamOf("tiny"))
			defer resp.Body.Close()
			data, err := events(resp.Body)
			if (err == nil) != q.whole {
				t.Errorf("it ends with %v", err)
			}
			if len(data) != len(q.data) {
				t.Fatalf("it has %q", data)
			}
			for i, want := range q.data {
				if want == "" {
					if code, message := failing(t, data[i]); code != "worker_failed" || !strings.Contains(message, "broke off") {
						t.Errorf("it ends with %q", data[i])
					}
				} else if strings.TrimSpace(data[i]) != want {
					t.Errorf("it has %q", data)
				}
			}
			c.idle()
			text := get(t, c.url+"/metrics")
			result := map[bool]string{true: "2xx", false: "aborted"}[q.whole]
			if !strings.Contains(text, `rbee_queen_requests_total{endpoint="chat",result="`+result+`"} 1`) {
				t.Errorf("it is not counted as %s", result)
			}
		})
	}
}

// A client that hangs up takes its request at the worker with it: before the first byte,
// between the header and the first byte, and in the midst of a stream.
func TestAClientThatHangsUpFreesTheWorker(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(http.ResponseWriter){
		"before the first byte": func(http.ResponseWriter) {},
		"after the header": func(rw http.ResponseWriter) {
			rw.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(rw).Flush()
		},
		"in the stream": func(rw http.ResponseWriter) {
			rw.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(rw, "data: {}\n\n")
			_ = http.NewResponseController(rw).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := holdCourt(t, queen.Config{})
			begun, freed := make(chan struct{}), make(chan struct{})
			c.hireModel("m", func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				begin(rw)
				close(begun)
				<-r.Context().Done()
				close(freed)
			})
			conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			body := streamOf("m")
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(body), body)
			<-begun
			if name == "in the stream" {
				if _, err := conn.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			conn.Close()
			select {
			case <-freed:
			case <-time.After(20 * time.Second):
				t.Fatal("the worker goes on")
			}
			c.idle()
			for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				text := get(t, c.url+"/metrics")
				if containsAll(text, `rbee_queen_requests_total{endpoint="chat",result="cancelled"} 1`, "rbee_queen_requests_running 0") {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("it is never counted: %s", text)
				}
			}
		})
	}
}

func TestAWorkerThatIsSilentIsGivenUp(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{Limits: queen.Limits{FirstByte: 50 * time.Millisecond}})
	hang := func(begin string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if begin != "" {
				rw.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(rw, begin)
				_ = http.NewResponseController(rw).Flush()
			}
			<-r.Context().Done()
		}
	}
	c.hireModel("mute", hang(""))
	status, _, answer := c.chat(chatOf("mute"))
	if code, _ := failing(t, answer); status != http.StatusGatewayTimeout || code != "worker_too_slow" {
		t.Errorf("%d %v", status, answer)
	}
	c.idle()
	c = holdCourt(t, queen.Config{Limits: queen.Limits{Between: 50 * time.Millisecond}})
	c.hireModel("stuck", hang("data: {}\n\n"))
	resp := c.stream(streamOf("stuck"))
	defer resp.Body.Close()
	data, err := events(resp.Body)
	if err == nil || len(data) != 2 {
		t.Fatalf("%q, %v", data, err)
	}
	if code, _ := failing(t, data[1]); code != "worker_too_slow" {
		t.Errorf("it ends with %q", data[1])
	}
	c.idle()
}

func TestABodyThatDoesNotCome(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{Limits: queen.Limits{Body: 50 * time.Millisecond}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", chatPath)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("it is answered with %s", resp.Status)
	}
}

// A worker closes a connection that is kept for the next request; that has another then.
func TestConnectionsThatTheWorkerClosed(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	noticed := make(chan struct{}, 3) // she asks for its capabilities, too
	c.introduce(serveConns(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // until she has closed it, too
		noticed <- struct{}{}
	}))
	<-noticed
	for range 2 {
		if status, _, answer := c.chat(chatOf("tiny")); status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
		<-noticed
	}
}

// A queen that stops lets answers finish, and says so where she can't.
func TestAnswersWhenTheQueenStops(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]struct {
		cfg  queen.Config
		ends bool
	}{
		"in time":  {queen.Config{Drain: time.Hour}, true},
		"too late": {queen.Config{Drain: time.Millisecond}, false},
		"hurried":  {queen.Config{Drain: time.Hour, Hurry: closed()}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			her := queen.New(q.cfg)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- her.Run(ctx, ln) }()
			c := court{t, her, "http://" + ln.Addr().String(), stop}
			finish := make(chan struct{})
			c.hireModel("m", func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				rw.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(rw, "data: {}\n\n")
				_ = http.NewResponseController(rw).Flush()
				select {
				case <-finish:
					fmt.Fprint(rw, "data: [DONE]\n\n")
				case <-r.Context().Done():
				}
			})
			resp := c.stream(streamOf("m"))
			defer resp.Body.Close()
			stop()
			if q.ends {
				for { // she takes no one in any more, and goes on with those she has
					conn, err := net.Dial("tcp", ln.Addr().String())
					if err != nil {
						break
					}
					conn.Close()
				}
				close(finish)
			}
			data, err := events(resp.Body)
			if (err == nil) != q.ends || len(data) != 2 {
				t.Fatalf("%q, %v", data, err)
			}
			if !q.ends {
				if code, _ := failing(t, data[1]); code != "stopping" {
					t.Errorf("it ends with %q", data[1])
				}
			}
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Streams that are opened all at once end all whole. They are read one after the other,
// so that the race detector has goroutines to spare.
func TestAThousandStreamsAtOnce(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	for range 2 {
		c.hire(worker.Config{Model: "tiny", TokensPerSecond: 100})
	}
	body := streamOf("tiny")
	conns := make([]net.Conn, 1000)
	for i := range conns {
		var err error
		if conns[i], err = net.Dial("tcp", strings.TrimPrefix(c.url, "http://")); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	for _, conn := range conns {
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", chatPath, len(body), body)
	}
	for i, conn := range conns {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		data, err := events(resp.Body)
		resp.Body.Close()
		if err != nil || len(data) != 15 || data[14] != "[DONE]" {
			t.Fatalf("stream %d: %d %q, %v", i, resp.StatusCode, data, err)
		}
	}
	c.idle()
}
