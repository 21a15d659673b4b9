package stack_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
)

// A stack around a server, for as long as it takes to ask it something.
func Example() {
	// main begins with guard.Main(), and is rbee's daemons under their names.
	server := launch.Command([]string{"python3", "-m", "http.server", "{port}"}, launch.Health{HTTP: "/"})
	err := stack.Run(context.Background(), stack.Config{Worker: launch.Config{Type: "web", Program: server}},
		func(_ context.Context, up stack.Up) error {
			resp, err := http.Get(up.Worker.URL)
			if err == nil {
				err = resp.Body.Close()
			}
			return err
		})
	if err != nil {
		fmt.Println(err)
	}
}
