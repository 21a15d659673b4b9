package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

// endPeriod is how often a follower looks whether the launch has ended.
const endPeriod = 250 * time.Millisecond

type logsCmd struct {
	ID         string `arg:"" help:"Its id, or as much of it as tells it from the others; also of one that has ended." complete:"logged" placeholder:"ID"`
	Follow     bool   `short:"f" help:"Go on with what comes, until the launch has ended."`
	Tail       *int   `short:"n" help:"Begin with the last N lines (default: with the first)." placeholder:"N"`
	Since      string `help:"Leave out what is older than a time, or than so long ago: 15:04, 2006-01-02T15:04:05Z, 10m." placeholder:"T"`
	Timestamps bool   `short:"t" help:"Put time and stream before each line."`
	JSON       bool   `help:"Print one JSON object for each line."`
}

// Validate is called by kong.
func (c *logsCmd) Validate() error {
	if c.Tail != nil && *c.Tail < 0 {
		return fmt.Errorf("--tail: %d is no count", *c.Tail)
	}
	_, err := c.since()
	return err
}

// since is zero without the flag.
func (c *logsCmd) since() (time.Time, error) {
	if c.Since == "" {
		return time.Time{}, nil
	}
	at, err := parseSince(c.Since, time.Now())
	if err != nil {
		return at, fmt.Errorf("--since: %w", err)
	}
	return at, nil
}

// Run prints what a launch's child has printed.
func (c *logsCmd) Run(call *cli.Call) error {
	dir, err := logDir()
	if err != nil {
		return err
	}
	known, unread := loggedIDs()
	id, err := resolveID(c.ID, known)
	if err != nil {
		return errors.Join(err, unread)
	}
	since, err := c.since()
	if err != nil {
		return err
	}
	p := &logPrinter{call: call, format: c.format()}
	cfg := logfile.Config{Path: logfile.Path(dir, id), Tail: c.Tail, Since: since, OnLines: p.lines, OnGap: p.gap}
	read := logfile.Read
	if c.Follow {
		read = followLaunch(id)
	}
	err = untilStopped(call.Context, func() error { return read(call.Context, cfg) })
	if errors.Is(err, syscall.EPIPE) {
		return nil // whoever read this has seen enough
	}
	return err
}

// untilStopped waits for do, and when ctx ends no longer than a moment: it may hang in
// writing to a reader who has stopped to read, until this process ends.
func untilStopped(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(lastWords):
		return nil
	}
}

// followLaunch makes a logfile.Follow that ends with the launch.
func followLaunch(id string) func(context.Context, logfile.Config) error {
	return func(ctx context.Context, cfg logfile.Config) error {
		ended := make(chan struct{})
		cfg.Ended = ended
		both, ctx := errgroup.WithContext(ctx)
		both.Go(func() error {
			defer close(ended)
			return awaitLaunchEnd(ctx, id)
		})
		both.Go(func() error { return logfile.Follow(ctx, cfg) })
		return both.Wait()
	}
}

// awaitLaunchEnd waits until the launch is no longer listed. That its output is no longer
// read, a follower of a child that is silent learns here.
func awaitLaunchEnd(ctx context.Context, id string) error {
	tick := time.NewTicker(endPeriod)
	defer tick.Stop()
	for {
		ids, err := launchedIDs()
		if !slices.Contains(ids, id) {
			return err
		}
		if cli.OutputGone() {
			return syscall.EPIPE
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// logPrinter prints lines of a log, those that were read at a time with one write.
type logPrinter struct {
	call   *cli.Call
	format func(*logPrinter, logfile.Line) error
	buf    bytes.Buffer
}

func (c *logsCmd) format() func(*logPrinter, logfile.Line) error {
	switch {
	case c.JSON:
		return (*logPrinter).json
	case c.Timestamps:
		return (*logPrinter).stamped
	default:
		return (*logPrinter).plain
	}
}

func (p *logPrinter) lines(lines []logfile.Line) error {
	for _, l := range lines {
		if err := p.format(p, l); err != nil {
			return err
		}
	}
	return p.flush()
}

func (p *logPrinter) flush() error {
	_, err := p.buf.WriteTo(p.call.Stdout)
	return err
}

func (p *logPrinter) json(l logfile.Line) error {
	enc := json.NewEncoder(&p.buf)
	enc.SetEscapeHTML(false)
	return enc.Encode(l)
}

func (p *logPrinter) stamped(l logfile.Line) error {
	p.buf.WriteString(l.String() + "\n")
	return nil
}

// plain prints what the child printed, as it did. The launcher's notes look as they do
// in the foreground.
func (p *logPrinter) plain(l logfile.Line) error {
	if l.Stream == logfile.Launch {
		return p.note(l.Text)
	}
	p.buf.WriteString(l.Text + "\n")
	return nil
}

func (p *logPrinter) note(text string) error {
	if err := p.flush(); err != nil { // what came before it stands before it
		return err
	}
	_, err := io.WriteString(p.call.Stderr, "rbee-launch: "+text+"\n")
	return err
}

// gap is told on stderr in every format: it is no line of the log.
func (p *logPrinter) gap() {
	_ = p.note("lines are missing here: they were rotated away before they could be printed") // stdout tells of a reader gone
}

// logDir is where all logs are kept.
func logDir() (string, error) {
	dir, err := cli.StateDir()
	return filepath.Join(dir, "logs"), err
}

// loggedIDs are the ids that have a log, and those that may get one. An error tells of
// what can't be read, beside what can.
func loggedIDs() ([]string, error) {
	dir, err := logDir()
	if err != nil {
		return nil, err
	}
	logged, errLogged := logfile.IDs(dir)
	launched, errLaunched := launchedIDs()
	all := append(logged, launched...)
	slices.Sort(all)
	return slices.Compact(all), errors.Join(errLogged, errLaunched)
}
