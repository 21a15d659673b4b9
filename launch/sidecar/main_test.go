package sidecar_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// The programs that the test binary is, by argv[0].
const (
	keeperName  = "keeper"  // JOB: a sidecar's program
	starterName = "starter" // JOB: starts a keeper, and lives until it is killed
)

func TestMain(m *testing.M) {
	guard.Main()
	switch filepath.Base(os.Args[0]) {
	case keeperName:
		if keeper(os.Args[1]) != nil {
			os.Exit(1) // it has told why
		}
	case starterName:
		if err := starter(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// job is what a keeper keeps: a shell script that prints "up" when it is ready.
type job struct {
	ID     string
	Dir    string // of all its files
	Script string
	Chatty bool // it says more than a pipe holds when the script is ready
}

func (j job) argv(name string) []string {
	text, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return []string{name, string(text)}
}

func (j job) runtimeDir() string { return filepath.Join(j.Dir, "run") }

func (j job) config() launch.Config {
	return launch.Config{
		ID: j.ID, Private: true, RuntimeDir: j.runtimeDir(), LogDir: filepath.Join(j.Dir, "logs"),
		Program:  launch.Command([]string{"sh", "-c", j.Script}, launch.Health{Log: regexp.MustCompile("up")}),
		Limits:   launch.Limits{AnyOwner: true}, // it listens nowhere
		Ports:    ports.Config{Range: ports.Range{First: 18000, Last: 18999}},
		OnOrphan: launch.KeepOrphan,
		Restart:  supervisor.Restart{When: "on-failure"},
	}
}

func keeper(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	role, err := sidecar.TakeRole()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	o := sidecar.Options{Role: role, Program: keeperName, Config: j.config()}
	if j.Chatty {
		var log *slog.Logger
		o.Logger = func(w io.Writer) *slog.Logger {
			log = slog.New(slog.NewTextHandler(w, nil))
			return log
		}
		o.Config.OnEvent = func(e launch.Event) {
			for i := 0; i < 3000 && e.Event == launch.Ready; i++ {
				log.Info(strings.Repeat("bla ", 50))
			}
		}
	}
	return sidecar.Run(ctx, o)
}

func starter(text string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p, err := sidecar.Start(sidecar.Command{Path: self, Argv: []string{keeperName, text}})
	if err != nil {
		return err
	}
	for m := range p.Messages() {
		if m.Event != nil && m.Event.Event == launch.Ready {
			fmt.Println("ready")
		}
	}
	return nil
}
