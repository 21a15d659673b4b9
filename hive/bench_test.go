package hive_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
)

// BenchmarkSpawn measures the time from a request until the hive says that the worker is
// ready: a keeper and all that a launch is. "x-launch" is how often the time goes into it
// that launch.Run takes in this process, with the same worker. Both take turns, so that a
// busy machine is busy for both.
func BenchmarkSpawn(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	cfg := hive.Config{
		ID: "bench", QueenURL: new(""), RuntimeDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state"),
		Log: slog.New(slog.DiscardHandler),
		Keeper: func(job string) hive.Command {
			return hive.Command{Path: self, Argv: []string{program.KeeperName, hive.KeepCommand, job}}
		},
	}
	c := benchHive(b, cfg)
	const first, all = 24000, 6000 // none that a child has been at for a while
	var spawned, launched time.Duration
	port := first
	for b.Loop() {
		spawned += timeSpawn(b, c, first+port%all)
		launched += timeLaunch(b, cfg, first+(port+1)%all)
		port += 2
	}
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(1000*spawned.Seconds()/float64(b.N), "spawn-ms")
	b.ReportMetric(1000*launched.Seconds()/float64(b.N), "launch-ms")
	b.ReportMetric(spawned.Seconds()/launched.Seconds(), "x-launch")
}

func benchHive(b *testing.B, cfg hive.Config) *client.Client {
	b.Helper()
	h, err := hive.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, ln) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	c, err := client.New(client.Config{URL: "http://" + ln.Addr().String()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func timeSpawn(b *testing.B, c *client.Client, port int) time.Duration {
	b.Helper()
	began := time.Now()
	op, err := c.Spawn(b.Context(), client.SpawnRequest{Engine: "builtin", Port: port})
	if err != nil {
		b.Fatal(err)
	}
	op, err = c.Follow(b.Context(), op.ID, func(client.Event) {})
	took := time.Since(began)
	if err != nil || op.Worker == nil {
		b.Fatalf("%+v %+v, %v", op, op.Error, err)
	}
	if err := c.Stop(b.Context(), op.Worker.WorkerID); err != nil {
		b.Fatal(err)
	}
	return took
}

func timeLaunch(b *testing.B, of hive.Config, port int) time.Duration {
	b.Helper()
	catalog, err := engines.Load(of.EngineFile)
	if err != nil {
		b.Fatal(err)
	}
	found, err := catalog.Choose("llm", "builtin", launch.FindEngine)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	ready := make(chan struct{})
	ended := make(chan error, 1)
	began := time.Now()
	go func() {
		engine := &launch.Engine{Found: found, StateDir: of.StateDir}
		ended <- launch.Run(ctx, engine.Config(launch.Config{
			Port: port, Ports: ports.Config{}, RuntimeDir: of.RuntimeDir, LogDir: filepath.Join(of.StateDir, "logs"),
			OnEvent: func(e launch.Event) {
				if e.Event == launch.Ready {
					close(ready)
				}
			},
		}))
	}()
	select {
	case <-ready:
	case err := <-ended:
		b.Fatal(err)
	}
	took := time.Since(began)
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
	return took
}
