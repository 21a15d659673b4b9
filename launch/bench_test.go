package launch_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// BenchmarkLaunch measures the time until children are registered: a guard, a port,
// the process, its health and the registry's answer. "x-bare" is how often the time
// goes into it that the least takes which anybody could do: fork, exec, and connect
// until somebody listens. Both take turns, so that a busy machine is busy for both.
func BenchmarkLaunch(b *testing.B) {
	for _, children := range []int{1, 50} {
		b.Run(strconv.Itoa(children), func(b *testing.B) {
			reg := registryClient(b, startRegistry(b, "127.0.0.1:0").url)
			var ours, bare time.Duration
			var places berths
			for b.Loop() {
				ours += launchAll(b, reg, places.next(children))
				bare += startBare(b, places.next(children))
			}
			b.ReportMetric(0, "ns/op") // the sum of both says nothing
			b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "launch-ms")
			b.ReportMetric(float64(bare.Milliseconds())/float64(b.N), "bare-ms")
			b.ReportMetric(ours.Seconds()/bare.Seconds(), "x-bare")
		})
	}
}

// berths hands out ports that no child has been at for a while: one that was just
// left has closed connections on it, and takes longer to be seen as free.
type berths struct{ used int }

func (p *berths) next(children int) ports.Range {
	const first, all = 24000, 6000
	at := first + p.used%(all-children)
	p.used += children
	return ports.Range{First: at, Last: at + children - 1}
}

// launchAll is the time until a child is registered at each port.
func launchAll(b *testing.B, reg *registry.Client, at ports.Range) time.Duration {
	b.Helper()
	children := at.Last - at.First + 1
	ctx, stop := context.WithCancel(b.Context())
	var launches, registered sync.WaitGroup
	began := time.Now()
	g, err := guard.Start()
	if err != nil {
		b.Fatal(err)
	}
	for range children {
		registered.Add(1)
		done := sync.OnceFunc(registered.Done)
		cfg := launch.Config{
			Program: builtin(), Ports: ports.Config{Range: at}, Guard: g, Registry: reg,
			OnEvent: func(e launch.Event) {
				if e.Event == launch.Registered {
					done()
				}
			},
		}
		launches.Go(func() {
			if err := launch.Run(ctx, cfg); err != nil {
				b.Error(err)
			}
			done()
		})
	}
	registered.Wait()
	took := time.Since(began)
	if list := workers(b, reg); len(list) != children {
		b.Errorf("the registry lists %d workers, want %d", len(list), children)
	}
	stop()
	launches.Wait()
	if err := g.Close(); err != nil {
		b.Error(err)
	}
	return took
}

// startBare is the time until the same child takes connections at each port.
func startBare(b *testing.B, at ports.Range) time.Duration {
	b.Helper()
	self := executable(b)
	var cmds []*exec.Cmd
	var listening sync.WaitGroup
	began := time.Now()
	for number := at.First; number <= at.Last; number++ {
		port := strconv.Itoa(number)
		cmd := &exec.Cmd{Path: self, Args: []string{
			program.WorkerName, "--port=" + port, "--host=127.0.0.1", "--registry-url=", "--queen-url=", "--log-level=error",
		}}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		cmds = append(cmds, cmd)
		listening.Go(func() {
			if err := connect(net.JoinHostPort("127.0.0.1", port)); err != nil {
				b.Error(err)
			}
		})
	}
	listening.Wait()
	took := time.Since(began)
	for _, cmd := range cmds {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), exitOf(cmd)); err != nil {
			b.Error(err)
		}
	}
	return took
}

// connect tries every millisecond until it succeeds.
func connect(addr string) error {
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(limit) {
			return err
		}
	}
}

// exitOf waits for a child that was told to stop, however it puts that.
func exitOf(cmd *exec.Cmd) error {
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}
