package main

import (
	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/pid1"
	"github.com/rbee-launch/rbee-launch/launch"
)

// inContainer gives a launch that is what a container runs its exit code: after a stop,
// too, that is the child's own, which tells a clean end from one by SIGKILL.
func inContainer(cfg *launch.Config) func(error) error {
	if !pid1.Above() {
		return func(err error) error { return err }
	}
	code := 0
	show := cfg.OnEvent
	cfg.OnEvent = func(e launch.Event) {
		show(e)
		if e.Event == launch.Stopped && e.ExitCode != nil {
			code = *e.ExitCode
		}
	}
	return func(err error) error {
		if err == nil && code != 0 {
			return cli.WithCode(code, nil)
		}
		return err
	}
}
