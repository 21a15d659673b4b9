package sidecar_test

import (
	"context"
	"fmt"
	"os"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/sidecar"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// A program that leaves a server to a sidecar of its own, and ends when that is ready.
func Example() {
	guard.Main()
	role, err := sidecar.TakeRole()
	if err != nil {
		panic(err)
	}
	if role.Detached {
		_ = sidecar.Run(context.Background(), sidecar.Options{
			Role: role, Program: "leave-it",
			Config: launch.Config{ID: "mine", RuntimeDir: "run", Program: launch.Command(os.Args[1:], launch.Health{TCP: true})},
		})
		return
	}
	p, err := sidecar.Start(sidecar.Command{Argv: os.Args})
	if err != nil {
		panic(err)
	}
	defer p.Leave()
	for m := range p.Messages() {
		switch {
		case m.End != nil:
			fmt.Print(m.End.Text)
		case m.Event != nil && m.Event.Event == launch.Ready:
			fmt.Println("ready at", m.Event.URL)
			return
		}
	}
}
