package supervisor_test

import (
	"context"
	"fmt"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

func Example() {
	// main begins with guard.Main().
	err := supervisor.Run(context.Background(), supervisor.Config{
		Spec: func(context.Context, supervisor.Attempt) (supervisor.Spec, error) {
			return supervisor.Spec{Name: "greeter", Argv: []string{"/bin/sh", "-c", "echo hello; exit 3"}}, nil
		},
		OnLine: func(l supervisor.Line) { fmt.Println(l.Text) },
	})
	fmt.Println(err)
	// Output:
	// hello
	// greeter ended: exit code 3
}
