package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
)

type execCmd struct {
	ID      program.ID `help:"Its id (default: worker-TYPE-PORT)." placeholder:"ID"`
	Type    string     `help:"The worker type it registers as (default: ${default})." default:"exec" placeholder:"TYPE"`
	Program []string   `arg:"" help:"The program and its arguments, after '--'. {port} and {host} are filled in; PORT and HOST are in its environment." placeholder:"PROGRAM"`
	healthFlags
	placeFlags
	knownFlags
	lifeFlags
	sidecarFlags
	outputFlags
}

type healthFlags struct {
	HealthHTTP string `name:"health-http" help:"A GET of this path is answered with 200-399." placeholder:"PATH" group:"health"`
	HealthTCP  bool   `name:"health-tcp" help:"Its port takes a connection (the default)." group:"health"`
	HealthExec string `name:"health-exec" help:"This command, split at spaces, ends with exit code 0; {port} is filled in." placeholder:"COMMAND" group:"health"`
	HealthLog  string `name:"health-log" help:"A line of its output matches; what else is asked is asked after that." placeholder:"REGEXP" group:"health"`

	HealthNotify bool `name:"health-notify" help:"It says READY=1 at NOTIFY_SOCKET, as services of systemd's do." group:"health"`
}

func (f healthFlags) health() (launch.Health, error) {
	h := launch.Health{HTTP: f.HealthHTTP, TCP: f.HealthTCP, Exec: strings.Fields(f.HealthExec), Notify: f.HealthNotify}
	if f.HealthLog != "" {
		re, err := regexp.Compile(f.HealthLog)
		if err != nil {
			return h, cli.WithCode(cli.CodeUsage, fmt.Errorf("--health-log: %w", err))
		}
		h.Log = re
	}
	return h, nil
}

// Validate is called by kong.
func (c *execCmd) Validate() error { return errors.Join(c.placeFlags.check(), c.lifeFlags.check()) }

// Run launches the program.
func (c *execCmd) Run(call *cli.Call) error {
	health, err := c.health()
	if err != nil {
		return err
	}
	cfg, closer, err := c.knownFlags.config(launch.Config{ID: string(c.ID), Type: c.Type, Engine: "exec"})
	defer closer()
	if err != nil {
		return err
	}
	if cfg, err = c.lifeFlags.config(call, c.placeFlags.config(call.Context, c.RegistryURL, cfg)); err != nil {
		return err
	}
	cfg.Program = launch.Command(c.Program, health)
	return keep(call, c.sidecarFlags, c.outputFlags, cfg)
}
