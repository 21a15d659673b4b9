package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
)

// listFlags are those of commands that print a list.
type listFlags struct {
	JSON bool `help:"Print one JSON array."`
}

// print writes the rows as a table, or the values behind them as JSON.
func (f listFlags) print(call *cli.Call, values any, header string, rows []string, none string) error {
	if f.JSON {
		enc := json.NewEncoder(call.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(values)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(call.Stderr, none)
		return err
	}
	return table(call.Stdout, header, rows)
}

// table aligns cells that are set apart by tabs.
func table(w io.Writer, header string, rows []string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, header)
	for _, r := range rows {
		fmt.Fprintln(tw, r)
	}
	return tw.Flush()
}

type enginesCmd struct {
	listFlags
	EngineFile string `help:"Your own engine profiles (default: engines.yaml in the configuration folder)." placeholder:"FILE"`
}

// Run lists the engines.
func (c *enginesCmd) Run(call *cli.Call) error {
	catalog, err := engines.Load(c.EngineFile)
	if err != nil {
		return cli.WithCode(cli.CodeUsage, err)
	}
	all := catalog.List(launch.FindEngine)
	var rows []string
	for _, e := range all {
		where := e.Path
		if where == "" {
			where = "not installed: " + e.Install
		}
		rows = append(rows, row(e.Name, strings.Join(e.Types, ", "), where))
	}
	return c.print(call, all, "ENGINE\tTYPES\tWHERE", rows, "there are no engines")
}

type portsCmd struct {
	listFlags
	Ports ports.Range `help:"The range to look at (default: ${default})." default:"${ports}" placeholder:"FIRST-LAST"`
}

// Run lists who holds which ports.
func (c *portsCmd) Run(call *cli.Call) error {
	held, err := ports.Leases(call.Context, ports.Config{Range: c.Ports})
	if err != nil {
		return err
	}
	if held == nil {
		held = []ports.Holder{}
	}
	var rows []string
	for _, h := range held {
		launcher, listener := "-", "-"
		if h.Leased {
			launcher = h.Launcher.String()
		}
		if h.Listening {
			listener = h.Listener.String()
		}
		rows = append(rows, row(strconv.Itoa(h.Port), launcher, listener))
	}
	return c.print(call, held, "PORT\tLEASED BY\tLISTENER", rows, fmt.Sprintf("all of %s is free", c.Ports))
}

// self is how the user can call this program again.
func self() string {
	exe, err := os.Executable()
	if err == nil && strings.Contains(exe, "go-build") {
		return "go run ./cmd/rbee-launch"
	}
	return "rbee-launch"
}
