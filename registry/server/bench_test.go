package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// known is how many components send heartbeats in the benchmarks.
const known = 1000

// BenchmarkHeartbeat measures heartbeats over loopback, from a thousand
// components, against the least that a server could do for the same request.
func BenchmarkHeartbeat(b *testing.B) {
	b.Run("registry", func(b *testing.B) {
		url, client := start(b, server.Config{}), testClient(b)
		for i := range known {
			body := fmt.Sprintf(`{"worker_id":%q,"hostname":"localhost","port":8080}`, workerID(i))
			if err := post(client, url+"/v1/registry/register", body); err != nil {
				b.Fatal(err)
			}
		}
		beat(b, client, url+"/v1/registry/heartbeat")
	})
	b.Run("bare", func(b *testing.B) {
		bare := httptest.NewServer(bareHeartbeats())
		b.Cleanup(bare.Close)
		beat(b, testClient(b), bare.URL)
	})
}

func workerID(i int) string { return fmt.Sprintf("worker-llm-%d", i) }

// bareHeartbeats is a mutex, a map and JSON, without limits or judgement.
func bareHeartbeats() http.Handler {
	var mu sync.Mutex
	beats := map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ID string `json:"component_id"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		beats[body.ID]++
		n := beats[body.ID]
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]int{"revision": n})
	})
}

func beat(b *testing.B, client *http.Client, url string) {
	var next atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := workerID(int(next.Add(1)) % known)
			body := fmt.Sprintf(`{"component_type":"worker","component_id":%q,"instance_id":"01JD0000000000000000000000"}`, id)
			if err := post(client, url, body); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "beats/s")
}

func post(client *http.Client, url, body string) error {
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}

// BenchmarkComeBack measures how long ten thousand components, each with its own loop,
// take to be registered again after their registry was killed and started anew. Nobody has
// to be later than one heartbeat's interval, 15 s; the retries have their jitter.
func BenchmarkComeBack(b *testing.B) {
	const many, clients = 10_000, 100 // which have a few connections each
	for b.Loop() {
		first := newDaemon(b, "127.0.0.1:0")
		ctx, stop := context.WithCancel(context.Background())
		var announcing sync.WaitGroup
		for c := range clients {
			client, err := registry.NewClient(registry.Config{URL: "http://" + first.addr})
			if err != nil {
				b.Fatal(err)
			}
			for i := range many / clients {
				me := registry.Component{
					Kind: registry.Worker, ID: workerID(c*many/clients + i), InstanceID: ulid.Make().String(),
					Hostname: "localhost", Port: 8080, WorkerType: "llm",
				}
				a := registry.Announcement{To: client, Component: me, Farewell: time.Nanosecond}
				announcing.Go(func() { a.Run(ctx) })
			}
			defer client.Close()
		}
		first.await(b, many)
		first.stop()
		time.Sleep(20 * time.Second) // until everybody has noticed: 15 s at most
		began := time.Now()
		second := newDaemon(b, first.addr)
		half := second.await(b, many/2)
		all := second.await(b, many)
		b.ReportMetric(half.Sub(began).Seconds(), "s-to-half")
		b.ReportMetric(all.Sub(began).Seconds(), "s-to-all")
		stop()
		second.stop()
		announcing.Wait()
	}
	b.ReportMetric(0, "ns/op") // which is mostly the wait for the notice
}

// daemon is a registry that can be killed.
type daemon struct {
	addr string
	h    http.Handler
	stop func()
}

func newDaemon(b *testing.B, addr string) daemon {
	b.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	h := server.New(server.Config{}).Handler()
	srv := &http.Server{Handler: h}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) })
	return daemon{ln.Addr().String(), h, func() { _ = srv.Close(); serving.Wait() }}
}

// await says when so many were registered.
func (d daemon) await(b *testing.B, many int) time.Time {
	b.Helper()
	for {
		var health struct{ Revision int }
		w := httptest.NewRecorder()
		d.h.ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &health); err != nil {
			b.Fatal(err)
		}
		if health.Revision >= many {
			return time.Now()
		}
		time.Sleep(10 * time.Millisecond)
	}
}
