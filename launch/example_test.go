package launch_test

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// A web server that is found through the registry on this machine, and started again
// when it crashes, until Ctrl-C.
func Example() {
	// main begins with guard.Main().
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	reg, err := registry.NewClient(registry.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reg.Close()
	err = launch.Run(ctx, launch.Config{
		ID:       "files",
		Type:     "web",
		Program:  launch.Command([]string{"python3", "-m", "http.server", "{port}"}, launch.Health{HTTP: "/"}),
		Registry: reg,
		Restart:  supervisor.Restart{When: supervisor.OnFailure},
		OnEvent: func(e launch.Event) {
			if e.Event == launch.Ready {
				fmt.Println("files are served at", e.URL)
			}
		},
	})
	if err != nil {
		fmt.Println(err)
	}
}
