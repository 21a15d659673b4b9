package queen_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// BenchmarkNews is from the moment at which a worker sends its registration to the registry
// to the one at which the queen knows of it.
func BenchmarkNews(b *testing.B) {
	for _, others := range []int{0, 10_000} {
		b.Run(fmt.Sprint("others=", others), func(b *testing.B) {
			reg := background(b, func(ctx context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
			c, err := registry.NewClient(registry.Config{URL: reg})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			w := registry.Component{Kind: registry.Worker, Hostname: "localhost", Port: 1}
			register := func(id, model string) {
				w.ID, w.Model = id, model
				if _, err := c.Register(b.Context(), w); err != nil {
					b.Fatal(err)
				}
			}
			for i := range others {
				register(fmt.Sprint("other-", i), "m")
			}
			// Nobody is there to tell of capabilities, and that is no matter here.
			q := queen.New(queen.Config{RegistryURL: reg, MaxWorkers: 100_000, FetchTimeout: 1, FetchRetry: time.Hour})
			background(b, q.Run)
			until := func(model string) {
				for q.Model("w") != model {
					runtime.Gosched()
				}
			}
			register("w", "first")
			until("first")
			i := 0
			for b.Loop() {
				i++
				model := fmt.Sprint(i)
				register("w", model)
				until(model)
			}
		})
	}
}

// background runs a server until the benchmark ends.
func background(b *testing.B, serve func(context.Context, net.Listener) error) (url string) {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- serve(ctx, ln) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}
