package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
)

// somebody names launches: ids, or all.
type somebody struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Their ids, or as much of each as tells it from the others." complete:"launched" placeholder:"ID"`
	All bool     `help:"All of them." env:"-"`
}

// Validate is called by kong.
func (s somebody) Validate() error {
	if s.All == (len(s.IDs) > 0) {
		return errors.New("name launches, or say --all")
	}
	return nil
}

// find is the launches that were named.
func (s somebody) find(all []launch.Launch) ([]string, error) {
	var ids, found []string
	for _, l := range all {
		ids = append(ids, l.ID)
	}
	if s.All {
		return ids, nil
	}
	for _, typed := range s.IDs {
		id, err := resolveID(typed, ids)
		if err != nil {
			return nil, err
		}
		found = append(found, id)
	}
	return found, nil
}

// named is the one launch that was named.
func named(typed string) (dir, id string, err error) {
	dir, all, err := launches()
	if err != nil {
		return "", "", err
	}
	found, err := somebody{IDs: []string{typed}}.find(all)
	if err != nil {
		return "", "", err
	}
	return dir, found[0], nil
}

// launches lists this user's.
func launches() (dir string, all []launch.Launch, err error) {
	if dir, err = cli.RuntimeDir(); err != nil {
		return "", nil, err
	}
	all, err = launch.List(dir)
	return dir, all, err
}

// atOnce does the same to many launches side by side, and joins what goes wrong.
func atOnce(ids []string, do func(id string) error) error {
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { errs[i] = do(id) })
	}
	all.Wait()
	return errors.Join(errs...)
}

type oneLaunch struct {
	ID string `arg:"" help:"Its id, or as much of it as tells it from the others." complete:"launched" placeholder:"ID"`
}

// open finds the one launch; the caller closes it.
func (o oneLaunch) open() (*launch.Remote, error) {
	dir, id, err := named(o.ID)
	if err != nil {
		return nil, err
	}
	return launch.Open(dir, id)
}

type restartCmd struct{ oneLaunch }

// Run has the child started again, and returns when that is ready.
func (c *restartCmd) Run(call *cli.Call) error {
	r, err := c.open()
	if err != nil {
		return err
	}
	defer r.Close()
	before, err := r.Inspect(call.Context)
	if err != nil {
		return err
	}
	if err := r.Restart(call.Context); err != nil {
		return err
	}
	for call.Context.Err() == nil {
		err := awaitNext(call, r, before)
		if !errors.Is(err, launch.ErrReplaced) {
			return err
		}
		pause(call.Context)
	}
	return cli.WithCode(cli.CodeInterrupted, fmt.Errorf("%s is being restarted still", before.ID))
}

// awaitNext waits until the life after the one given is ready.
func awaitNext(call *cli.Call, r *launch.Remote, before launch.Inspection) error {
	for e, err := range r.Events(call.Context, false) {
		switch {
		case err != nil:
			return err
		case e.Event == launch.Ended:
			return cli.WithCode(cli.CodeLaunchFailed, fmt.Errorf("%s did not come back: %s%s", before.ID, e.Error, lastLines(e)))
		case e.Event == launch.Ready && e.InstanceID > before.InstanceID: // ULIDs grow
			_, err := fmt.Fprintf(call.Stdout, "%s: restarted, pid %d\n", e.ID, e.PID)
			return err
		}
	}
	return cli.WithCode(cli.CodeInterrupted, fmt.Errorf("%s is being restarted still", before.ID))
}

func lastLines(e launch.Event) string {
	if len(e.LastLines) == 0 {
		return ""
	}
	return "\nits last lines:\n  " + plainLines(strings.Join(e.LastLines, "\n  "))
}

// endError is what a command ends with that saw a launch to its end.
func endError(e launch.Event) error {
	if e.Error == "" {
		return cli.WithCode(*e.ExitCode, nil)
	}
	return cli.WithCode(*e.ExitCode, errors.New(e.Error+lastLines(e)))
}

type waitCmd struct{ oneLaunch }

// Run waits for the launch's end, over upgrades and adoptions of its launcher.
func (c *waitCmd) Run(call *cli.Call) error {
	dir, id, err := named(c.ID)
	if err != nil {
		return err
	}
	for {
		end, err := endOf(call.Context, dir, id)
		switch {
		case err != nil:
			return err
		case end != nil:
			return endError(*end)
		case call.Context.Err() != nil:
			return nil
		}
	}
}

// endOf is nil when the launcher was replaced meanwhile.
func endOf(ctx context.Context, dir, id string) (*launch.Event, error) {
	r, err := launch.Open(dir, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for e, err := range r.Events(ctx, false) {
		if err == nil && e.Event == launch.Ended {
			return &e, nil
		}
		if err != nil {
			break
		}
	}
	pause(ctx)
	return nil, nil
}

// pause is a moment, for what is between two states.
func pause(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

type inspectCmd struct{ oneLaunch }

// Run prints what there is to know.
func (c *inspectCmd) Run(call *cli.Call) error {
	enc := json.NewEncoder(call.Stdout)
	enc.SetIndent("", "  ")
	r, err := c.open()
	var orphaned *launch.OrphanedError
	if errors.As(err, &orphaned) {
		_, all, err := launches()
		if err != nil {
			return err
		}
		for _, l := range all {
			if l.ID == orphaned.ID {
				return enc.Encode(l) // its launcher knew the rest
			}
		}
	}
	if err != nil {
		return err
	}
	defer r.Close()
	i, err := r.Inspect(call.Context)
	if err != nil {
		return err
	}
	return enc.Encode(i)
}

type attachCmd struct {
	oneLaunch
	outputFlags
}

// Run shows the launch as its own terminal would; Ctrl-C detaches.
func (c *attachCmd) Run(call *cli.Call) error {
	r, err := c.open()
	if err != nil {
		return err
	}
	defer r.Close()
	show := newShow(call, c.outputFlags, 0)
	defer show.close()
	show.said = true // it is no news that it is ready
	show.note("attached; Ctrl-C detaches, 'rbee-launch stop %s' stops it", c.ID)
	began := time.Now()
	for e, err := range r.Events(call.Context, true) {
		switch {
		case err != nil:
			return err
		case e.Event == launch.Ended:
			show.close()
			return endError(e)
		case e.Time.Before(began):
		default:
			show.attached(e)
		}
	}
	show.note("detached; %s runs on", c.ID)
	return cli.WithCode(0, nil)
}

type adoptCmd struct {
	somebody
	outputFlags
}

// Run gives each orphan a sidecar of its own.
func (c *adoptCmd) Run(call *cli.Call) error {
	dir, all, err := launches() // among all, so that one that lives is told as such
	if err != nil {
		return err
	}
	orphans, err := launch.Orphans(dir)
	if err != nil {
		return err
	}
	byID := map[string]launch.Orphan{}
	for _, o := range orphans {
		byID[o.ID] = o
	}
	ids, err := c.find(all)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		o, orphaned := byID[id]
		switch {
		case orphaned:
			errs = append(errs, c.adopt(call, o))
		case !c.All:
			errs = append(errs, fmt.Errorf("adopt %s: it is no orphan, its launcher lives", id))
		}
	}
	if c.All && len(orphans) == 0 {
		fmt.Fprintln(call.Stderr, "nothing is orphaned")
	}
	return errors.Join(errs...)
}

func (c *adoptCmd) adopt(call *cli.Call, o launch.Orphan) error {
	said, err := sidecar.ReadResume(o.Resume)
	if err != nil {
		return cli.WithHint(fmt.Errorf("adopt %s: it was not launched by this command", o.ID),
			"start the program that launched it, or 'rbee-launch stop %s'", o.ID)
	}
	path, err := successor(said)
	if err != nil {
		return cli.WithHint(fmt.Errorf("adopt %s: %w", o.ID, err),
			"start the program that launched it, or 'rbee-launch stop %s'", o.ID)
	}
	return detach(call, c.outputFlags, 2, said.Command(path, o.ID))
}

type upgradeCmd struct{ somebody }

// Run replaces launchers, one after the other, so that a bad version stops at the first.
func (c *upgradeCmd) Run(call *cli.Call) error {
	dir, all, err := launches()
	if err != nil {
		return err
	}
	ids, err := c.find(all)
	if err != nil {
		return err
	}
	for _, id := range ids {
		path, err := newVersion(dir, id)
		if err != nil {
			return fmt.Errorf("upgrade %s: %w", id, err)
		}
		if err := upgrade(call, dir, id, path); err != nil {
			return err
		}
	}
	return nil
}

// newVersion is the file of the program that a launch is to go on as. What does not say
// how it was launched is for its launcher to refuse.
func newVersion(dir, id string) (string, error) {
	kept, err := launch.ResumeOf(dir, id)
	if err != nil {
		return "", err
	}
	said, err := sidecar.ReadResume(kept)
	if err != nil {
		return os.Executable()
	}
	return successor(said)
}

func upgrade(call *cli.Call, dir, id, path string) error {
	r, err := launch.Open(dir, id)
	if err != nil {
		return err
	}
	defer r.Close()
	before, err := r.Inspect(call.Context)
	if err != nil {
		return err
	}
	asked := time.Now()
	if err := r.Upgrade(call.Context, path); err != nil {
		return err
	}
	for call.Context.Err() == nil {
		now, err := r.Inspect(call.Context)
		if err == nil && len(now.Events) > 0 && now.Events[0].Event == launch.Adopted && now.Events[0].Time.After(asked) {
			if now.NotUpgraded != "" {
				return fmt.Errorf("upgrade %s: its launcher goes on as it was: %s", id, now.NotUpgraded)
			}
			_, err := fmt.Fprintf(call.Stdout, "%s: upgraded from %s to %s, pid %d goes on\n",
				id, before.Version, now.Version, now.Events[0].PID) // it may have ended just now
			return err
		}
		if _, gone := launch.Open(dir, id); gone != nil {
			return fmt.Errorf("upgrade %s: %w", id, gone)
		}
		pause(call.Context)
	}
	return nil
}
