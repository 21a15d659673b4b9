package worker_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/worker"
)

// One that waits for its clients serves on while it is stopping, until the last has
// gone, or whoever stops it is in a hurry.
func TestWaitsForClients(t *testing.T) {
	t.Parallel()
	for _, hurried := range []bool{false, true} {
		t.Run(fmt.Sprintf("hurried=%v", hurried), func(t *testing.T) {
			t.Parallel()
			var log lines
			hurry := make(chan struct{})
			r := start(t, worker.Config{Hurry: hurry, Log: log.logger(), Faults: worker.Faults{WaitForClients: true}})
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			ask := func() {
				t.Helper()
				resp, err := client.Get(r.url + "/health")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is kept
			}
			ask()
			r.stop()
			log.await(t, "waiting for clients")
			ask()
			if hurried {
				close(hurry)
			} else {
				transport.CloseIdleConnections()
			}
			if err := <-r.done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A hurry cuts an answer that the drain would have waited for.
func TestHurryCutsAnswers(t *testing.T) {
	t.Parallel()
	hurry := make(chan struct{})
	r := startReady(t, worker.Config{Model: "tiny", Hurry: hurry, Drain: time.Hour, TokensPerSecond: 0.001})
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := strings.Replace(helloChat, "{", `{"stream":true,`, 1)
	_, err = fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil { // the answer has begun
		t.Fatal(err)
	}
	r.stop()
	close(hurry)
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if answer, _ := io.ReadAll(conn); !strings.Contains(string(answer), "stopping") {
		t.Errorf("the answer ended with %q", answer)
	}
}

// await waits until the log has the text.
func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log never had %q:\n%s", text, l.String())
		}
	}
}
