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

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// roleVar makes a copy of the test binary one of the programs below.
const roleVar = "RBEE_LAUNCH_TEST_ROLE"

// TestMain is a main like that of rbee-launch: the test binary is a guard, the
// built-in worker, and what else the tests launch.
func TestMain(m *testing.M) {
	guard.Main()
	if name := filepath.Base(os.Args[0]); program.Knows(name) {
		os.Exit(program.Main(name, os.Args[1:]))
	}
	roles := map[string]func([]string) error{"lookback": lookBack, "launcher": launcher}
	role, other := roles[os.Getenv(roleVar)]
	if !other {
		os.Exit(m.Run())
	}
	if err := role(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
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

// launcher is a program (RUNTIME_DIR) that launches a built-in worker and prints its
// pid when it is ready.
func launcher(args []string) error {
	return launch.Run(context.Background(), launch.Config{
		Program: builtin(), ID: "of-another", Ports: testPorts, RuntimeDir: args[0],
		OnEvent: func(e launch.Event) {
			if e.Event == launch.Ready {
				fmt.Println(e.PID)
			}
		},
	})
}
