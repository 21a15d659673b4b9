package server_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// watchers is how many watch in the tests below.
const watchers = 50

// stallers are clients that read the stream up to a text, and nothing after that.
type stallers struct {
	ln    narrow
	url   string
	conns []net.Conn
	lines []*bufio.Reader
}

func newStallers(t *testing.T) *stallers {
	t.Helper()
	ln := newNarrow(t)
	return &stallers{ln: ln, url: startOn(t, ln, server.Config{Patience: longest})}
}

func (s *stallers) ask(t *testing.T, path string) {
	t.Helper()
	s.ln.from.Store(true)
	for range watchers {
		conn := connect(t, s.url, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		s.conns = append(s.conns, conn)
		s.lines = append(s.lines, bufio.NewReaderSize(conn, 64))
	}
}

// until reads on to a text: what follows on it is being written to all of them then.
func (s *stallers) until(t *testing.T, text string) {
	t.Helper()
	for _, r := range s.lines {
		for {
			line, err := r.ReadSlice('\n')
			if strings.Contains(string(line), text) {
				break
			}
			if err != nil && err != bufio.ErrBufferFull {
				t.Fatalf("there is no %q: %v", text, err)
			}
		}
	}
}

// large is a message with so many workers, of 15 KiB each.
func large(from, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(`{"worker_id":"w%d","hostname":"h","port":1,"metadata":{"x":%q}}`, from+i, strings.Repeat("x", 15<<10))
	}
	return `{"components":[` + strings.Join(parts, ",") + `]}`
}

// Those who take nothing share what they are told: none has a copy of its own. These tests
// look at the memory of all, so none runs beside them.
func TestWhoTakesNothingCostsNothing(t *testing.T) {
	const size = 60 * 15 << 10 // of the list, and of the changes
	for _, test := range []struct{ name, path, begins string }{
		{"a stream's reset", "/v1/registry/watch", "event: reset"},
		{"a poll's reset", "/v1/registry/watch?since=OTHER.1", "Content-Length"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStallers(t)
			if err := post(testClient(t), s.url+"/v1/registry/register", large(0, 60)); err != nil {
				t.Fatal(err)
			}
			before := heap()
			s.ask(t, test.path)
			s.until(t, test.begins)
			s.holdLittle(t, before, size)
		})
	}
	t.Run("changes", func(t *testing.T) {
		s := newStallers(t)
		s.ask(t, "/v1/registry/watch")
		s.until(t, "event: reset")
		s.until(t, "data: ")
		before := heap()
		if err := post(testClient(t), s.url+"/v1/registry/register", large(0, 60)); err != nil {
			t.Fatal(err)
		}
		s.until(t, "event: change")
		s.holdLittle(t, before, size)
	})
}

// holdLittle allows for a few copies in all, where each had one once.
func (s *stallers) holdLittle(t *testing.T, before uint64, size int) {
	t.Helper()
	if holds := heap(); holds > before+uint64(size)*watchers/4 {
		t.Errorf("%d who take nothing of %d bytes cost %d", watchers, size, holds-before)
	}
}

// BenchmarkWatch measures how long a hundred who watch take to hear of ten thousand workers.
func BenchmarkWatch(b *testing.B) {
	const many, batch = 10_000, 500
	for b.Loop() {
		url, client := start(b, server.Config{}), testClient(b)
		var all sync.WaitGroup
		open := make(chan struct{}, 2*watchers)
		for range 2 * watchers {
			all.Go(func() {
				resp, err := client.Get(url + "/v1/registry/watch")
				if err != nil {
					b.Error(err)
					return
				}
				defer resp.Body.Close()
				heard := 0
				lines := bufio.NewScanner(resp.Body)
				for heard < many && lines.Scan() {
					switch lines.Text() {
					case "event: reset":
						open <- struct{}{}
					case "event: change":
						heard++
					}
				}
				if heard < many {
					b.Errorf("one heard of %d", heard)
				}
			})
		}
		for range 2 * watchers {
			<-open
		}
		began := time.Now()
		for i := 0; i < many; i += batch {
			parts := make([]string, batch)
			for k := range parts {
				parts[k] = fmt.Sprintf(`{"worker_id":%q,"hostname":"localhost","port":8080,"model":"llama-3.2-1b"}`, workerID(i+k))
			}
			if err := post(client, url+"/v1/registry/register", `{"components":[`+strings.Join(parts, ",")+`]}`); err != nil {
				b.Fatal(err)
			}
		}
		all.Wait()
		b.ReportMetric(many*2*watchers/time.Since(began).Seconds(), "events/s")
	}
	b.ReportMetric(0, "ns/op")
}
