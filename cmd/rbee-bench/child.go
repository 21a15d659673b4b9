package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/process"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// child is a server in a process of its own. Those of ours end when their standard
// input does, so that they never outlive this program.
type child struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
}

// start runs this program's hidden command, on some cores alone where that is
// possible (none: on any), and waits until it listens.
func start(ctx context.Context, cores []int, command ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.CommandContext(ctx, self, command...)}
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.lines = bufio.NewReader(stdout)
	if err := startOn(cores, c.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	if c.addr, err = c.line(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", command[0], err), c.stop())
	}
	return c, nil
}

// limitCores has a program of Go's use as many processors as it has cores.
func limitCores(cores []int, cmd *exec.Cmd) {
	if len(cores) > 0 {
		cmd.Env = append(cmd.Environ(), "GOMAXPROCS="+strconv.Itoa(len(cores)))
	}
}

func (c *child) line() (string, error) {
	line, err := c.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

// stop kills it: what it knows is of no use to anyone.
func (c *child) stop() error {
	_ = c.cmd.Process.Kill() // it may have ended
	_ = c.stdin.Close()
	_ = c.cmd.Wait() // it was killed
	return nil
}

// usage is what a process has taken so far.
type usage struct {
	cpu      time.Duration // user and system time
	resident int64         // bytes, at present
}

func (c *child) usage(ctx context.Context) (usage, error) {
	return usageOf(ctx, c.cmd.Process.Pid)
}

func usageOf(ctx context.Context, pid int) (usage, error) {
	p, err := process.NewProcessWithContext(ctx, int32(pid))
	if err != nil {
		return usage{}, err
	}
	times, err := p.TimesWithContext(ctx)
	if err != nil {
		return usage{}, err
	}
	memory, err := p.MemoryInfoWithContext(ctx)
	if err != nil {
		return usage{}, err
	}
	return usage{
		cpu:      time.Duration((times.User + times.System) * float64(time.Second)),
		resident: int64(memory.RSS),
	}, nil
}

// serveChild is the other side of start: it listens, tells where, and does what its
// standard input says until that ends.
func serveChild(call *cli.Call, serve func(context.Context, net.Listener) error) error {
	ctx, cancel := context.WithCancel(call.Context)
	defer cancel()
	ln, err := httpd.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(call.Stdout, ln.Addr())
	// After a signal it reads on, and ends with the process.
	go func() {
		defer cancel()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			freeMemory()
			fmt.Fprintln(call.Stdout, "collected")
		}
	}()
	return serve(ctx, ln)
}
