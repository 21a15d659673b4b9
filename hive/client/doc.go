// Package client holds what goes over the wire to a hive, and a client for it.
//
//	c, err := client.New(client.Config{URL: "http://127.0.0.1:7835"})
//	...
//	defer c.Close()
//	op, err := c.Spawn(ctx, client.SpawnRequest{WorkerType: "llm", Model: "tiny"})
//	...
//	op, err = c.Follow(ctx, op.ID, func(e client.Event) { fmt.Println(e.Name, e.Text) })
//	fmt.Println(op.Worker.WorkerID)
//
// A spawn is an operation: it is begun by one request and goes on without whoever asked
// for it. Follow comes back to it over lost connections.
//
// It does not import package hive, so that a queen carries no launcher.
package client
