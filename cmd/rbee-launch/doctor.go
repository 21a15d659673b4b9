package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/credentials"
	"github.com/rbee-launch/rbee-launch/internal/doctor"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

type doctorCmd struct {
	JSON        bool        `help:"Print one JSON array."`
	Ports       ports.Range `help:"The range that launches take ports from (default: ${default})." default:"${ports}" placeholder:"FIRST-LAST"`
	RegistryURL string      `name:"registry-url" help:"The registry; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
	QueenURL    *string     `name:"queen-url" help:"The queen; empty for none (default: the one the registry knows, else ${queen})." placeholder:"URL"`
	EngineFile  string      `help:"Your own engine profiles (default: engines.yaml in the configuration folder)." placeholder:"FILE"`
	credentialFlags
}

// Run says what this machine gives, and what is wrong with it. It fails when something
// is bad.
func (c *doctorCmd) Run(call *cli.Call) error {
	facts, err := c.facts(call.Context)
	if err != nil {
		return err
	}
	findings := doctor.Examine(facts)
	if c.JSON {
		enc := json.NewEncoder(call.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(findings)
	} else {
		err = printFindings(call.Stdout, findings)
	}
	if err == nil && slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Status == doctor.Bad }) {
		return cli.WithCode(cli.CodeFailed, nil)
	}
	return err
}

func (c *doctorCmd) facts(ctx context.Context) (doctor.Facts, error) {
	state, err := cli.StateDir()
	if err != nil {
		return doctor.Facts{}, err
	}
	shown, err := c.read()
	if err != nil {
		return doctor.Facts{}, err
	}
	f := doctor.Gather(ctx, doctor.Config{
		Ports: ports.Config{Range: c.Ports}, RuntimeDir: cli.RuntimePath(), StateDir: state,
		Registry: doctor.Daemon{URL: c.RegistryURL, Ask: askRegistry(shown), TLS: shown.TLS},
		Queen:    doctor.Daemon{URL: c.queenURL(ctx, shown), Ask: askQueen(shown)},
	})
	f.Engines.Installed, f.Engines.Err = installedEngines(c.EngineFile)
	f.Leftovers = leftovers(cli.RuntimePath())
	return f, nil
}

// queenURL is where launches would look for the queen.
func (c *doctorCmd) queenURL(ctx context.Context, shown credentials.Shown) string {
	switch {
	case c.QueenURL != nil:
		return *c.QueenURL
	case c.RegistryURL == "":
		return queen.DefaultURL
	}
	// What launches remember counts where the registry is away; where it is there, nothing
	// is written down that a look at a machine does not need.
	url, known := c.queenOf(ctx, shown, "")
	if !known {
		url, _ = c.queenOf(ctx, shown, program.RegistryCache())
	}
	return url
}

// queenOf is where the registry, or what is remembered of it, says that the queen is; else
// known is false.
func (c *doctorCmd) queenOf(ctx context.Context, shown credentials.Shown, cache string) (url string, known bool) {
	r, err := registry.NewClient(registry.Config{URL: c.RegistryURL, Token: shown.Token, TLS: shown.TLS, CacheDir: cache})
	if err != nil {
		return queen.DefaultURL, false
	}
	defer r.Close()
	answer, err := r.Queen(ctx)
	if err != nil || answer.Value == nil {
		return queen.DefaultURL, err == nil
	}
	return answer.Value.URL(), true
}

// installedEngines are those that run a model.
func installedEngines(file string) (names []string, err error) {
	catalog, err := engines.Load(file)
	if err != nil {
		return nil, err
	}
	for _, e := range catalog.List(launch.FindEngine) {
		if e.Path != "" && e.Name != "builtin" {
			names = append(names, e.Name)
		}
	}
	return names, nil
}

// leftovers are dead launches, and those that wait for an adopter.
func leftovers(dir string) doctor.Leftovers {
	var all doctor.Leftovers
	dead, err := launch.Leftovers(dir)
	for _, l := range dead {
		all.Found = append(all.Found, doctor.Leftover{What: l.ID + ": " + l.Why, Fix: "rbee-launch ps clears it away"})
	}
	launches, listErr := launch.List(dir)
	for _, l := range launches {
		if l.Status == launch.IsOrphaned {
			all.Found = append(all.Found, doctor.Leftover{
				What: fmt.Sprintf("%s: its launcher was killed; its child, pid %d, runs on", l.ID, l.PID),
				Fix:  fmt.Sprintf("rbee-launch adopt %s goes on with it, rbee-launch stop %[1]s ends it", l.ID),
			})
		}
	}
	all.Err = errors.Join(err, listErr)
	return all
}

// printFindings prints a line for each, and then what is to be done.
func printFindings(w io.Writer, findings []doctor.Finding) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	paint := painter(w)
	for _, f := range findings {
		// Colours are as wide as others, so that tabwriter aligns them.
		fmt.Fprintf(tw, "%s\t%s\t%s\n", paint(f.Status), f.Check, plain(f.Message))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	var todo []string
	for _, f := range findings {
		if f.Fix != "" {
			todo = append(todo, fmt.Sprintf("  %s: %s\n", f.Check, plain(f.Fix)))
		}
	}
	if len(todo) == 0 {
		return nil
	}
	_, err := fmt.Fprint(w, "\nWhat to do:\n", strings.Join(todo, ""))
	return err
}

// painter gives a status its colour, on a terminal.
func painter(w io.Writer) func(doctor.Status) string {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return func(s doctor.Status) string { return string(s) }
	}
	colours := map[doctor.Status]int{doctor.OK: 32, doctor.Warn: 33, doctor.Bad: 31}
	return func(s doctor.Status) string { return fmt.Sprintf("\x1b[%dm%-4s\x1b[0m", colours[s], s) }
}
