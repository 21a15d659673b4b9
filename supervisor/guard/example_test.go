package guard_test

import (
	"context"
	"fmt"
	"os"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

func Example() {
	// main begins with guard.Main().
	g, err := guard.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	child, err := g.Spawn(context.Background(), guard.Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}, Env: os.Environ(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-child.Gone()
	fmt.Println(child.Exit())
	// Output: exit code 3
}
