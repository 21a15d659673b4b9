package launch_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// roleVar makes a copy of the test binary one of the programs below.
const roleVar = "RBEE_LAUNCH_TEST_ROLE"

// TestMain is a main like that of rbee-launch: the test binary is a guard, the
// built-in worker, and what else the tests launch.
func TestMain(m *testing.M) {
	guard.Main()
	if os.Getenv(roleVar) == "counter" { // under another program's name
		exit(counter(os.Args[1:]))
	}
	if name := filepath.Base(os.Args[0]); program.Knows(name) {
		os.Exit(program.Main(name, os.Args[1:]))
	}
	roles := map[string]func([]string) error{"lookback": lookBack, "launcher": launcher, "adopter": adopter}
	role, other := roles[os.Getenv(roleVar)]
	if !other {
		os.Exit(m.Run())
	}
	exit(role(os.Args[1:]))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// lookBack is a server (ADDRESS REGISTRY) that says, when it is asked to stop, how
// many workers the registry lists at that moment.
func lookBack(args []string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ln, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	defer ln.Close()
	<-stop
	reg, err := registry.NewClient(registry.Config{URL: args[1]})
	if err != nil {
		return err
	}
	defer reg.Close()
	workers, err := reg.Workers(context.Background(), registry.Filter{})
	if err != nil {
		return err
	}
	fmt.Printf("asked to stop, %d listed\n", len(workers.Value))
	return nil
}

// launcher is a program (RUNTIME_DIR [REGISTRY]) that launches a built-in worker and
// prints its pid when it is ready. With a registry, the worker is to be kept, talks all
// the time, and is logged in RUNTIME_DIR/logs; with a third argument it is restarted
// (restarts), or is one that SIGTERM does not end, with an hour to do so.
func launcher(args []string) error {
	cfg := launch.Config{Program: builtin(), ID: "of-another", Ports: testPorts, RuntimeDir: args[0]}
	if len(args) > 1 {
		reg, err := registry.NewClient(registry.Config{URL: args[1]})
		if err != nil {
			return err
		}
		defer reg.Close()
		cfg = keptConfig(args[0])
		cfg.Registry = reg
	}
	switch {
	case len(args) > 2 && args[2] == "restarts":
		cfg.Restart.When = supervisor.Always
	case len(args) > 2:
		cfg.Program, cfg.Limits.Grace = builtin("--ignore-sigterm"), time.Hour
	}
	cfg.OnEvent = func(e launch.Event) {
		if e.Event == launch.Ready {
			fmt.Println(e.PID)
		}
	}
	return launch.Run(context.Background(), cfg)
}

// keptConfig is a launch whose child is kept, and counts on its standard output.
func keptConfig(dir string) launch.Config {
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.LogDir = "of-another", dir, filepath.Join(dir, "logs")
	cfg.SpawnedBy = "the first"
	cfg.OnOrphan, cfg.Resume = launch.KeepOrphan, []byte(`{"any":"thing"}`)
	cfg.Program = self(launch.Command([]string{program.WorkerName, "{port}"}, launch.Health{TCP: true}))
	program := cfg.Program
	cfg.Program = func(ctx context.Context, at launch.Target) (supervisor.Spec, error) {
		spec, err := program(ctx, at)
		spec.Env = append(spec.Env, roleVar+"=counter") // the last one counts
		return spec, err
	}
	return cfg
}

// counter is a server (PORT) that prints numbers.
func counter(args []string) error {
	ln, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		return err
	}
	defer ln.Close()
	for i := 1; ; i++ {
		fmt.Println("line", i)
		time.Sleep(200 * time.Microsecond)
	}
}

// adopter is a program (RUNTIME_DIR) that adopts the launch "one".
func adopter(args []string) error {
	cfg := config()
	cfg.ID, cfg.RuntimeDir, cfg.Adopt = "one", args[0], true
	return launch.Run(context.Background(), cfg)
}
