package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

type registryCmd struct {
	JSON       bool          `help:"Print one JSON object."`
	Quick      bool          `help:"Take some seconds, to see that it works; the figures mean little."`
	Only       []string      `help:"The sections to run: register, heartbeat, batch, list, watch, memory, million, expiry." placeholder:"NAME,..."`
	Watchers   int           `help:"How many watch." default:"1000"`
	MaxEntries int64         `help:"The most entries that a registry is given: the million of the section of that name." default:"1000000"`
	MillionFor time.Duration `help:"How long a million components beat." default:"15s"`
	Etcd       string        `help:"etcd's program; none leaves it out (default: the one in PATH)." placeholder:"PATH"`
}

// part is a section and what measures it.
type part struct {
	name, about string
	run         func(*bench, context.Context, *section) error
}

func parts() []part {
	return []part{
		{"register", "registrations of components that are new", (*bench).register},
		{"heartbeat", "heartbeats of 1,000 components, one in each request", (*bench).heartbeat},
		{"batch", "heartbeats of 10,000 components, 100 in each request", (*bench).batch},
		{"list", "GET /v1/registry/workers", (*bench).list},
		{"watch", "changes that are told to all watchers", (*bench).watch},
		{"memory", "resident memory of the server's process", (*bench).memory},
		{"million", "a heartbeat each 15 s from every component, 100 in each request, to a server with one core", (*bench).million},
		{"expiry", "requests while all other components fall silent at once, are offline, and are removed", (*bench).expiry},
	}
}

// partLimit bounds each section, whatever a server does.
const partLimit = 4 * time.Minute

// Run measures and prints. A goal that is missed is no error: machines are noisy.
func (c *registryCmd) Run(call *cli.Call) error {
	b := &bench{settings: c.settings(), progress: call.Stderr}
	chosen, err := choose(c.Only)
	if err != nil {
		return cli.WithCode(cli.CodeUsage, err)
	}
	r := &report{Sections: []*section{}}
	if b.etcdPath, err = c.etcd(); err != nil {
		return err
	}
	if r.About, err = b.place(); err != nil {
		return err
	}
	for _, p := range chosen {
		s := &section{Name: p.name, About: p.about, Rows: []*row{}}
		if err := b.section(call.Context, p, s); err != nil {
			return interrupted(call, fmt.Errorf("%s: %w", p.name, err))
		}
		r.Sections = append(r.Sections, s)
	}
	if c.JSON {
		return r.json(call.Stdout)
	}
	return r.text(call.Stdout)
}

// interrupted is err, or what is left of it once a signal has ended the run: all that
// failed then did so for it.
func interrupted(call *cli.Call, err error) error {
	if call.Context.Err() != nil {
		return cli.WithCode(cli.CodeFailed, nil)
	}
	return err
}

func choose(only []string) ([]part, error) {
	var chosen []part
	for _, p := range parts() {
		if len(only) == 0 || slices.Contains(only, p.name) {
			chosen = append(chosen, p)
		}
	}
	for _, name := range only {
		if !slices.ContainsFunc(parts(), func(p part) bool { return p.name == name }) {
			return nil, fmt.Errorf("--only: there is no section %q", name)
		}
	}
	return chosen, nil
}

// etcd is the path of its program, or "".
func (c *registryCmd) etcd() (string, error) {
	switch c.Etcd {
	case "none":
		return "", nil
	case "":
		path, _ := exec.LookPath("etcd") // the report says when it is left out
		return path, nil
	default:
		return exec.LookPath(c.Etcd)
	}
}

// settings are how much of each is done.
type settings struct {
	rounds      int
	saturate    time.Duration // each round, for the highest rate
	open        time.Duration // each round, at a part of it
	fraction    float64       // that part
	connections int

	lists []int64 // lengths

	watchers   int
	changes    int64
	changeRate float64
	burst      int64

	entries    int64 // whose memory is measured
	most       int64 // the million
	millionFor time.Duration

	silent         int64
	window, remove time.Duration
	probeRate      float64
}

func (c *registryCmd) settings() settings {
	s := settings{
		rounds: 5, saturate: 600 * time.Millisecond, open: time.Second, fraction: 0.5, connections: 16,
		lists:    []int64{10, 1_000, 10_000},
		watchers: c.Watchers, changes: 100, changeRate: 20, burst: 50,
		entries: 10_000, most: c.MaxEntries, millionFor: c.MillionFor,
		silent: 100_000, window: 5 * time.Second, remove: 8 * time.Second, probeRate: 200,
	}
	if c.Quick {
		s.rounds, s.saturate, s.open, s.connections = 1, 100*time.Millisecond, 100*time.Millisecond, 4
		s.lists = []int64{10, 1_000}
		s.watchers, s.changes, s.changeRate, s.burst = min(s.watchers, 20), 10, 50, 10
		s.entries, s.most, s.millionFor = 1_000, min(s.most, 2_000), min(s.millionFor, 300*time.Millisecond)
		s.silent, s.window, s.remove = 1_000, 800*time.Millisecond, 1200*time.Millisecond
	}
	s.entries = min(s.entries, s.most)
	return s
}

// bench is one run.
type bench struct {
	settings
	etcdPath string // "" leaves it out
	servers  []int  // the cores that servers have; none: all
	progress io.Writer
}

// place divides the cores between servers and load, and describes what there is.
func (b *bench) place() (about []string, err error) {
	about = append(about, fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()))
	if cores := ownCores(); len(cores) > 1 {
		half := len(cores) / 2
		b.servers = cores[:half]
		if err := stayOn(cores[half:]); err != nil {
			return nil, err
		}
		about = append(about, fmt.Sprintf("servers are on cores %v, the load comes from cores %v", cores[:half], cores[half:]))
	} else {
		about = append(about, "servers and load share all cores")
	}
	about = append(about, fmt.Sprintf("per second: the highest rate, by %d connections; median of %d rounds, taken in turns", b.connections, b.rounds),
		fmt.Sprintf("latencies: from when each request was due, at %v of that rate (open per second)", b.fraction),
		"ratio: to the bare handler's rate, median of the rounds'",
		"cpu us: processor time of the server for each request; cpu ratio: the bare handler's to it",
		"cpu percent: of one core, at the highest rate; where it is well below the server's share, something else was the limit,",
		"  and cpu ratio says more than ratio")
	if b.etcdPath == "" {
		return append(about, "etcd is left out: it is not installed, or not wanted"), nil
	}
	version, err := exec.Command(b.etcdPath, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", b.etcdPath, err)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	return append(about, first+", as it is by default: it writes to disk with an fsync before it answers, the others keep nothing"), nil
}

func (b *bench) section(ctx context.Context, p part, s *section) error {
	fmt.Fprintf(b.progress, "%s: %s\n", p.name, p.about)
	limited, cancel := context.WithTimeoutCause(ctx, partLimit, fmt.Errorf("it took over %s", partLimit))
	defer cancel()
	err := p.run(b, limited, s)
	if err != nil && limited.Err() != nil {
		err = errors.Join(context.Cause(limited), err)
	}
	return err
}

// patient are windows in which nobody falls silent.
var patient = []string{"--online-window", "1h", "--remove-after", "2h"}

// contenders starts a registry with these flags, a bare handler and, if it is there,
// etcd. The caller stops them all, also after an error.
func (b *bench) contenders(ctx context.Context, flags ...string) (all []contender, stop func() error, err error) {
	stop = func() error {
		var errs []error
		for _, c := range all {
			errs = append(errs, c.stop())
		}
		return errors.Join(errs...)
	}
	for _, name := range []string{"registry", "bare"} {
		c, err := b.http(ctx, name, b.servers, flags...)
		if err != nil {
			return nil, stop, err
		}
		all = append(all, c)
	}
	if b.etcdPath != "" {
		c, err := startEtcd(ctx, b.etcdPath, b.servers)
		if err != nil {
			return nil, stop, err
		}
		all = append(all, c)
	}
	return all, stop, nil
}

// http starts one of ours.
func (b *bench) http(ctx context.Context, name string, cores []int, flags ...string) (httpContender, error) {
	command := []string{"serve-bare"}
	if name == "registry" {
		command = append([]string{"serve-registry"}, flags...)
	}
	c, err := start(ctx, cores, command...)
	return httpContender{c, name}, err
}
