package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// everybody is what ps --all lists: this user's launches, and after them those whom the
// registry knows besides.
type everybody struct {
	*psCmd
	call   *cli.Call
	client *registry.Client
	here   bool // the registry is on this machine, so that its localhost is ours
	away   bool // the registry did not answer, which was said
}

func (c *psCmd) everybody(call *cli.Call) (*everybody, error) {
	shown, err := c.read()
	if err != nil {
		return nil, err
	}
	if c.RegistryURL == "" {
		return nil, cli.WithCode(cli.CodeUsage, errors.New("--all: --registry-url is empty: there is nobody to ask"))
	}
	e := &everybody{psCmd: c, call: call}
	if at, err := url.Parse(c.RegistryURL); err == nil { // else NewClient says so
		e.here = registry.Loopback(at.Hostname())
	}
	e.client, err = registry.NewClient(registry.Config{URL: c.RegistryURL, Token: shown.Token, TLS: shown.TLS})
	if err != nil {
		return nil, cli.WithCode(cli.CodeUsage, err)
	}
	return e, nil
}

func (e *everybody) close() { e.client.Close() }

// look fails where there is nothing to list. A registry that does not answer, or no
// longer, is told once.
func (e *everybody) look(dir string) ([]launch.Launch, error) {
	own, err := launch.List(dir)
	if err != nil {
		return own, err
	}
	answer, cause := e.client.Components(e.call.Context)
	if cause == nil && answer.Value.Epoch == "" {
		cause = fmt.Errorf("list components: the answer of %s is not a registry's", e.RegistryURL)
	}
	if cause == nil {
		e.tell(answer.Cause, "shown is what it said "+time.Since(answer.AsOf).Round(time.Second).String()+" ago")
		return append(own, e.others(answer.Value, own)...), nil
	}
	if len(own) == 0 && !e.Watch {
		e.away = true
		return own, cli.WithHint(cause, "--registry-url URL names another registry; without --all, 'rbee-launch ps' asks none")
	}
	e.tell(cause, "shown are your own launches alone")
	return own, nil
}

// tell says that the registry does not answer, and what that means.
func (e *everybody) tell(cause error, consequence string) {
	if cause != nil && !e.away && e.call.Context.Err() == nil {
		fmt.Fprintf(e.call.Stderr, "rbee-launch: %v: %s\n", cause, consequence)
	}
	e.away = cause != nil
}

// others are those components that are none of our launches, as far as a launch's words
// fit them.
func (e *everybody) others(all registry.Snapshot, own []launch.Launch) []launch.Launch {
	var entries []registry.Entry
	if all.Queen != nil {
		entries = append(entries, *all.Queen)
	}
	entries = slices.Concat(entries, all.Hives, all.Workers)
	if all.GUI != nil {
		entries = append(entries, *all.GUI)
	}
	var others []launch.Launch
	for _, entry := range entries {
		if slices.ContainsFunc(own, func(l launch.Launch) bool { return e.same(l, entry) }) {
			continue
		}
		kind := string(entry.Kind)
		if entry.Kind == registry.Worker {
			kind = cmp.Or(entry.WorkerType, kind)
		}
		others = append(others, launch.Launch{
			ID: entry.ID, InstanceID: entry.InstanceID, Type: kind, Model: entry.Model, Status: launch.Status(entry.Status),
			Port: entry.Port, URL: entry.URL(), StartedAt: entry.RegisteredAt, Registry: true,
		})
	}
	return others
}

// same reports whether a component is a launch of ours. rbee's own daemons register
// themselves, with an id and an instance of their own, but a port has one listener.
func (e *everybody) same(l launch.Launch, c registry.Entry) bool {
	if c.InstanceID != "" && c.InstanceID == l.InstanceID {
		return true
	}
	return e.here && registry.Loopback(c.Hostname) && c.Port == l.Port
}

func (e *everybody) list(call *cli.Call, all []launch.Launch) error {
	rows := [][]string{{"ID", "TYPE", "STATUS", "PID", "WHERE", "MODEL", "AGE"}}
	var orphans []string
	for _, l := range all {
		rows = append(rows, []string{
			l.ID, orDash(l.Type), string(l.Status), dash(l.PID), orDash(strings.TrimPrefix(l.URL, "http://")), orDash(l.Model),
			max(time.Since(l.StartedAt), 0).Round(time.Second).String(), // their clock may be ahead
		})
		if l.Status == launch.IsOrphaned {
			orphans = append(orphans, l.ID)
		}
	}
	if width, terminal := columns(call.Stdout); terminal { // a pipe gets whole ids
		fit(rows, width)
	}
	lines := make([]string, len(rows))
	for i, cells := range rows {
		lines[i] = row(cells...)
	}
	none := "nothing is launched, and nobody is registered"
	if e.away {
		none = "nothing is launched"
	}
	err := e.print(call, all, lines[0], lines[1:], none)
	e.adoptable(call, orphans)
	return err
}

// columns is how wide a terminal is; false for what is none.
func columns(w io.Writer) (n int, terminal bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	n, _, err := term.GetSize(int(f.Fd()))
	if err != nil || n < 60 { // a table of less can't be read
		n = 80
	}
	return n, true
}

// fit takes the middle out of what is in the widest columns until the lines of a table are
// no wider than width: what others call themselves may be of any length.
func fit(rows [][]string, width int) {
	const gap = 3 // table's
	widths := make([]int, len(rows[0]))
	total := gap * (len(widths) - 1)
	for _, cells := range rows {
		for i, cell := range cells {
			cells[i] = plain(cell) // strangers' words drive no terminal
			widths[i] = max(widths[i], utf8.RuneCountInString(cells[i]))
		}
	}
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := 0
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		widths[widest]--
	}
	for _, cells := range rows {
		for i, cell := range cells {
			cells[i] = shorten(cell, widths[i])
		}
	}
}
