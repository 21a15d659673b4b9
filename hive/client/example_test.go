package client_test

import (
	"context"
	"fmt"

	"github.com/rbee-launch/rbee-launch/hive/client"
)

// A worker on this machine, and how its start goes.
func Example() {
	ctx := context.Background()
	c, err := client.New(client.Config{})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	op, err := c.Spawn(ctx, client.SpawnRequest{WorkerType: "llm", Model: "tiny"})
	if err != nil {
		panic(err)
	}
	op, err = c.Follow(ctx, op.ID, func(e client.Event) { fmt.Println(e.Name) })
	switch {
	case err != nil:
		panic(err)
	case op.Status == client.Failed:
		fmt.Println(op.Error.Detail, op.Error.LastLines)
	default:
		fmt.Println(op.Worker.WorkerID, "at port", op.Worker.Port)
	}
}
