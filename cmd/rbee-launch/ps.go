package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
)

// watchEvery is how often --watch looks: the list is in files, a look is cheap.
const watchEvery = 500 * time.Millisecond

type psCmd struct {
	listFlags
	Watch       bool   `short:"w" help:"Go on, and print the list whenever it has changed."`
	All         bool   `help:"List everybody else whom the registry knows, too: of other users and machines." env:"-"`
	RegistryURL string `name:"registry-url" help:"The registry that --all asks (default: ${default})." default:"${registry}" placeholder:"URL"`
	credentialFlags
}

// Run lists this user's launches, and with --all everybody.
func (c *psCmd) Run(call *cli.Call) error {
	dir, err := cli.RuntimeDir()
	if err != nil {
		return err
	}
	if err := c.clear(call, dir); err != nil {
		return err
	}
	look, list := launch.List, c.list
	if c.All {
		e, err := c.everybody(call)
		if err != nil {
			return err
		}
		defer e.close()
		look, list = e.look, e.list
	}
	all, err := look(dir)
	if !c.Watch || err != nil {
		return errors.Join(err, list(call, all)) // those that can be read are shown
	}
	screen := newStatus(call.Stdout, nil) != nil && !c.JSON
	for tick := time.Tick(watchEvery); ; {
		if screen {
			fmt.Fprint(call.Stdout, "\x1b[H\x1b[2J") // from the top of an empty screen
		}
		if err := list(call, all); err != nil {
			return err
		}
		for before := all; slices.Equal(before, all); {
			select {
			case <-tick:
			case <-call.Context.Done():
				return nil
			}
			if all, err = look(dir); err != nil {
				return err
			}
		}
	}
}

// clear removes what dead launches have left, and says so.
func (c *psCmd) clear(call *cli.Call, dir string) error {
	cleared, err := launch.Clear(dir)
	for _, l := range cleared {
		fmt.Fprintf(call.Stderr, "cleared what %s has left: %s\n", plain(l.ID), plain(l.Why))
	}
	return err
}

func (c *psCmd) list(call *cli.Call, all []launch.Launch) error {
	var rows, orphans []string
	for _, l := range all {
		rows = append(rows, row(
			l.ID, string(l.Status), dash(l.PID), dash(l.Port), orDash(l.Model), orDash(l.Engine),
			fmt.Sprint(l.Restarts), time.Since(l.StartedAt).Round(time.Second).String(), registered(l),
		))
		if l.Status == launch.IsOrphaned {
			orphans = append(orphans, l.ID)
		}
	}
	err := c.print(call, all, "ID\tSTATUS\tPID\tPORT\tMODEL\tENGINE\tRESTARTS\tAGE\tREGISTERED WITH", rows, "nothing is launched")
	c.adoptable(call, orphans)
	return err
}

// adoptable says what to do about orphans.
func (c *psCmd) adoptable(call *cli.Call, orphans []string) {
	if len(orphans) > 0 && !c.JSON {
		fmt.Fprintf(call.Stderr, "hint: the launcher of %s was killed: 'rbee-launch adopt ID' takes over, 'rbee-launch stop ID' ends it\n",
			plain(strings.Join(orphans, ", ")))
	}
}

func registered(l launch.Launch) string {
	var with []string
	if l.Registry {
		with = append(with, "registry")
	}
	if l.Queen {
		with = append(with, "queen")
	}
	return orDash(strings.Join(with, ", "))
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
