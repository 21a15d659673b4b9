package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// otherName is another program that launches: ID SCRIPT has a sidecar keep a shell script,
// which prints "up" when it is ready, and returns then.
const otherName = "other-launcher"

func other() {
	role, err := sidecar.TakeRole()
	if err == nil && role.Detached {
		err = otherSidecar(role, os.Args[1], os.Args[2])
	} else if err == nil {
		err = otherStart()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func otherStart() error {
	p, err := sidecar.Start(sidecar.Command{Argv: os.Args})
	if err != nil {
		return err
	}
	defer p.Leave()
	for m := range p.Messages() {
		switch {
		case m.End != nil:
			return fmt.Errorf("it ended: %s", m.End.Text)
		case m.Event != nil && m.Event.Event == launch.Ready:
			return nil
		}
	}
	return fmt.Errorf("its sidecar, pid %d, died", p.PID())
}

func otherSidecar(role sidecar.Role, id, script string) error {
	dir, err := cli.RuntimeDir()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return sidecar.Run(ctx, sidecar.Options{Role: role, Program: otherName, Config: launch.Config{
		ID: id, Private: true, RuntimeDir: dir, LogDir: filepath.Join(dir, "logs"), Version: "another's",
		Program:  launch.Command([]string{"sh", "-c", script}, launch.Health{Log: regexp.MustCompile("up")}),
		Limits:   launch.Limits{AnyOwner: true},
		Ports:    ports.Config{Range: ports.Range{First: 17000, Last: 17099}},
		OnOrphan: launch.KeepOrphan, SpawnedBy: "hive-" + id, Restart: supervisor.Restart{When: "on-failure"},
	}})
}
