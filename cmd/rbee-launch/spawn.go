package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	hive "github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	queen "github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

type spawnCmd struct {
	Type   string   `help:"What kind of worker: llm, vllm, comfy (default: ${default})." default:"llm" placeholder:"TYPE"`
	Model  string   `help:"A model in the hives' folders, or a name that the engine knows." placeholder:"MODEL"`
	Engine string   `help:"The engine (default: the hive's best one for the type)." placeholder:"NAME" complete:"engine"`
	Hive   string   `help:"The hive (default: the one with the engine, the model and the most free memory)." placeholder:"ID"`
	Port   cli.Port `help:"The one port to have (default: a free one of the hive's range)." placeholder:"N"`
	Extra  []string `arg:"" optional:"" help:"Arguments for the engine itself, after '--'." placeholder:"ARGUMENT"`

	RegistryURL     string  `name:"registry-url" help:"The registry, by which the queen is found; empty for none (default: ${default})." default:"${registry}" placeholder:"URL"`
	QueenURL        *string `name:"queen-url" help:"The queen (default: the one the registry knows, else ${queen})." placeholder:"URL"`
	credentialFlags `embed:""`
	outputFlags
}

// Validate is called by kong.
func (c *spawnCmd) Validate() error {
	if c.QueenURL != nil && *c.QueenURL == "" {
		return errors.New("--queen-url: without a queen there is nobody to choose a hive; 'rbee-launch worker' launches one here")
	}
	return c.credentialFlags.Validate()
}

// Run has the queen find a hive for the worker, shows how that starts it, and prints the
// worker's id. A Ctrl-C before it is ready cancels it.
func (c *spawnCmd) Run(call *cli.Call) error {
	q, closer, err := c.queen()
	defer closer()
	if err != nil {
		return err
	}
	begun, err := q.Spawn(call.Context, queen.Job{
		SpawnRequest: hive.SpawnRequest{WorkerType: c.Type, Model: c.Model, Engine: c.Engine, Port: int(c.Port), Args: c.Extra},
		HiveID:       c.Hive,
	})
	if err != nil {
		return refusedSpawn(err)
	}
	show := newShow(call, c.outputFlags, 2)
	show.detached, show.where = true, plain("on hive "+begun.HiveID)
	defer show.close()
	if !c.JSON && !c.Quiet {
		show.print(call.Stderr, fmt.Sprintf("rbee-launch: on hive %s: %s\n", begun.HiveID, plain(begun.Why)))
	}
	ops, err := q.Operations(call.Context)
	if err != nil {
		return err
	}
	defer ops.Close()
	ended, err := followOperation(call, ops, begun.ID, show)
	if err != nil {
		return err
	}
	show.close()
	return c.outcome(call, ended)
}

// queen is a client of hers; the caller calls closer.
func (c *spawnCmd) queen() (_ *queen.Client, closer func(), err error) {
	known := knownFlags{RegistryURL: c.RegistryURL, QueenURL: c.QueenURL, credentialFlags: c.credentialFlags}
	cfg, closer, err := known.config(launch.Config{})
	return cfg.Queen, closer, err
}

// refusedSpawn says what to do about a spawn that did not begin.
func refusedSpawn(err error) error {
	var refused *registry.Refusal
	switch {
	case errors.As(err, &refused) && refused.Status == 422:
		return cli.WithCode(cli.CodeUsage, err)
	case errors.As(err, &refused) && refused.Code == queen.CodeNoHive:
		return cli.WithCode(cli.CodeLaunchFailed, cli.WithHint(err, "'rbee-hive' on a machine makes it one that can; 'rbee-launch worker' launches one here"))
	case errors.Is(err, registry.ErrUnreachable) && !errors.Is(err, registry.ErrUntrusted):
		return cli.WithCode(cli.CodeLaunchFailed, cli.WithHint(err, "is queen-rbee running? --queen-url URL names another one"))
	default:
		return cli.WithCode(cli.CodeLaunchFailed, err)
	}
}

// cancelLimit is how long a cancelled operation may take to end: the child has its grace
// period.
const cancelLimit = 45 * time.Second

// followOperation shows an operation to its end. The end of the call cancels it.
func followOperation(call *cli.Call, ops *hive.Client, id string, show *show) (hive.Operation, error) {
	tell := func(e hive.Event) {
		var told launch.Event
		if json.Unmarshal(e.Data, &told) == nil { // one of a later version may be of another form
			show.event(told)
		}
	}
	ended, err := ops.Follow(call.Context, id, tell)
	if call.Context.Err() == nil || err == nil {
		return ended, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(call.Context), cancelLimit)
	defer cancel()
	if err := ops.Cancel(ctx, id); err != nil {
		return ended, cli.WithCode(cli.CodeInterrupted, err)
	}
	return ops.Follow(ctx, id, func(hive.Event) {})
}

// outcome is what the command ends with.
func (c *spawnCmd) outcome(call *cli.Call, ended hive.Operation) error {
	if ended.Error == nil {
		if !c.JSON {
			at := registry.Component{Hostname: ended.Worker.Hostname, Port: ended.Worker.Port}
			fmt.Fprintf(call.Stderr, "rbee-launch: %s serves at %s\n", ended.WorkerID, at.URL())
		}
		return nil
	}
	text := "hive " + ended.HiveID + ": " + ended.Error.Detail
	if len(ended.Error.LastLines) > 0 {
		text += "\nits last lines:\n  " + strings.Join(ended.Error.LastLines, "\n  ")
	}
	code := cli.CodeLaunchFailed
	if ended.Error.ExitCode != nil && *ended.Error.ExitCode != 0 {
		code = *ended.Error.ExitCode
	}
	return cli.WithCode(code, errors.New(plainLines(text)))
}
