package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
