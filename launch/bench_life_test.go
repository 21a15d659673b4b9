package launch_test

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// BenchmarkCrash measures the time from a child's death by SIGKILL until its
// replacement takes connections. "x-bare" is how often the time goes into it that a
// parent takes which waits for its child and starts it again. Both take turns.
func BenchmarkCrash(b *testing.B) {
	cfg := config()
	cfg.Restart = supervisor.Restart{When: supervisor.Always, Healthy: 1} // each crash is the first
	r := start(b, cfg)
	first := r.await(launch.Ready)
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first.Port))
	pid := first.PID

	lease, err := ports.Acquire(b.Context(), testPorts)
	if err != nil {
		b.Fatal(err)
	}
	defer lease.Release()
	bareAddr := net.JoinHostPort("127.0.0.1", strconv.Itoa(lease.Port()))
	bare := startWorker(b, lease.Port())
	if err := connect(bareAddr); err != nil {
		b.Fatal(err)
	}

	var ours, theirs time.Duration
	for b.Loop() {
		began := time.Now()
		signalTo(b, pid, syscall.SIGKILL)
		pid = r.await(launch.Spawned).PID
		if err := connect(addr); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)
		r.await(launch.Ready)

		began = time.Now()
		signalTo(b, bare.Process.Pid, syscall.SIGKILL)
		_ = bare.Wait() // killed
		bare = startWorker(b, lease.Port())
		if err := connect(bareAddr); err != nil {
			b.Fatal(err)
		}
		theirs += time.Since(began)
	}
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(1000*ours.Seconds()/float64(b.N), "crash-ms")
	b.ReportMetric(1000*theirs.Seconds()/float64(b.N), "bare-ms")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-bare")
	signalTo(b, bare.Process.Pid, syscall.SIGKILL)
	_ = bare.Wait() // killed
}

// startWorker starts the built-in worker with nothing between it and us.
func startWorker(b *testing.B, port int) *exec.Cmd {
	b.Helper()
	cmd := &exec.Cmd{Path: executable(b), Args: []string{
		program.WorkerName, "--port=" + strconv.Itoa(port), "--host=127.0.0.1", "--registry-url=", "--queen-url=", "--log-level=error",
	}}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd
}

// BenchmarkStop measures the stop of 100 children below one guard: the stop signal, and
// the wait until nothing of any of them is left. "x-bare" is how often the time goes
// into it that kill(2) and wait(2) take. Both take turns.
func BenchmarkStop(b *testing.B) {
	const children = 100
	argv := []string{"sleep", "1000"}
	var ours, bare time.Duration
	for b.Loop() {
		ours += stopSupervised(b, children, argv)
		bare += stopBare(b, children, argv)
	}
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
	b.ReportMetric(1000*ours.Seconds()/float64(b.N), "stop-ms")
	b.ReportMetric(1000*bare.Seconds()/float64(b.N), "bare-ms")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "x-bare")
}

func stopSupervised(b *testing.B, children int, argv []string) time.Duration {
	b.Helper()
	g, err := guard.Start()
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var running, up sync.WaitGroup
	for range children {
		up.Add(1)
		running.Go(func() {
			err := supervisor.Run(ctx, supervisor.Config{
				Guard: g,
				Spec: func(context.Context, supervisor.Attempt) (supervisor.Spec, error) {
					return supervisor.Spec{Argv: argv}, nil
				},
				OnEvent: func(e supervisor.Event) {
					if e.Type == supervisor.Ready {
						up.Done()
					}
				},
			})
			if err != nil {
				b.Error(err)
			}
		})
	}
	up.Wait()
	began := time.Now()
	stop()
	running.Wait()
	took := time.Since(began)
	if err := g.Close(); err != nil {
		b.Error(err)
	}
	return took
}

func stopBare(b *testing.B, children int, argv []string) time.Duration {
	b.Helper()
	var cmds []*exec.Cmd
	for range children {
		cmd := exec.Command(argv[0], argv[1:]...)
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	began := time.Now()
	for _, cmd := range cmds {
		signalTo(b, cmd.Process.Pid, syscall.SIGTERM)
	}
	for _, cmd := range cmds {
		_ = cmd.Wait() // killed
	}
	return time.Since(began)
}
