package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

type stopCmd struct {
	somebody
	Grace *time.Duration `help:"Between the stop signal and SIGKILL; 0 kills at once (default: each launch's own)."`

	RegistryURL     string  `name:"registry-url" help:"The registry that is told of those whose launcher is dead; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
	QueenURL        *string `name:"queen-url" help:"The queen that is told, too; empty for none (default: the one the registry knows, else ${queen})." placeholder:"URL"`
	credentialFlags `embed:""`

	registrars []registry.Registrar
}

// Validate is called by kong, which does not look into what is embedded by a tag.
func (c *stopCmd) Validate() error {
	return errors.Join(c.somebody.Validate(), c.credentialFlags.Validate())
}

// Run stops launches side by side, those last that the others unregister from; Ctrl-C ends
// all grace periods.
func (c *stopCmd) Run(call *cli.Call) error {
	dir, all, err := launches()
	if err != nil {
		return err
	}
	ids, err := c.find(all)
	if err != nil {
		return err
	}
	known := knownFlags{RegistryURL: c.RegistryURL, QueenURL: c.QueenURL, credentialFlags: c.credentialFlags}
	cfg, closer, err := known.config(launch.Config{})
	defer closer()
	if err != nil { // who lives unregisters by itself
		fmt.Fprintf(call.Stderr, "rbee-launch: those whose launcher is dead will not be unregistered: %v\n", err)
	}
	c.registrars = cfg.Registrars()
	ctx, hurried := hurryOnce(call)
	defer hurried()
	workers, daemons := daemonsLast(ids, all)
	stop := func(id string) error { return c.stop(ctx, call, dir, id) }
	return errors.Join(atOnce(workers, stop), atOnce(daemons, stop))
}

// daemonsLast tells the registry and the queen from the others.
func daemonsLast(ids []string, all []launch.Launch) (others, daemons []string) {
	for _, l := range all {
		switch {
		case !slices.Contains(ids, l.ID):
		case l.Type == program.RegistryName || l.Type == program.QueenName:
			daemons = append(daemons, l.ID)
		default:
			others = append(others, l.ID)
		}
	}
	return others, daemons
}

func (c *stopCmd) stop(ctx context.Context, call *cli.Call, dir, id string) error {
	took := ""
	err := launch.Stop(ctx, dir, id, launch.StopOptions{Grace: c.Grace, Hurry: call.Context.Done(), Registrars: c.registrars}, func(e launch.Event) {
		if e.Event == launch.Stopped {
			took = trouble(e)
		}
	})
	if err == nil || errors.Is(err, launch.ErrNotThere) { // it was, when we looked
		_, err = fmt.Fprintf(call.Stdout, "%s: stopped%s\n", id, took)
	}
	return err
}

// hurryOnce is a context that outlives the first Ctrl-C, and ends at the second.
func hurryOnce(call *cli.Call) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(call.Context))
	go func() { // ends with ctx
		select {
		case <-call.Hurry:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
