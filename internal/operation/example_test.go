package operation_test

import (
	"context"
	"fmt"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/operation"
)

// An operation that has one thing to tell, and comes to nothing.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	ops := operation.New("/v1/hive/operations/", 100)
	over := make(chan struct{})
	_, err := ops.Begin(client.Operation{ID: "one"}, func(_ context.Context, op *operation.Running) {
		defer close(over)
		op.Tell(client.Event{Name: "leased", Data: []byte(`{"event":"leased","port":8080}`)})
		op.End(func(o *client.Operation) { o.Error = &client.Failure{Detail: "no engine"} })
	})
	if err != nil {
		panic(err)
	}
	running := make(chan error)
	go func() { running <- ops.Run(ctx) }()
	<-over
	op := ops.Get("one").Operation()
	fmt.Println(op.Status, op.Phase, op.Error.Detail, op.EventsURL)
	stop()
	<-running
	// Output: failed leased no engine /v1/hive/operations/one/events
}
