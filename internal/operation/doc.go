// Package operation keeps the operations of a server: work that is begun by one request
// and goes on without whoever asked for it, with events that anybody may follow.
//
//	ops := operation.New("/v1/hive/operations/", 100)
//	routes = append(routes, ops.Routes()...)
//	go ops.Run(ctx)
//	...
//	op, err := ops.Begin(client.Operation{Request: req}, func(ctx context.Context, op *operation.Running) {
//		op.Tell(event)                            // as often as something happens
//		op.End(func(o *client.Operation) { ... }) // once
//	})
//
// A stream of events begins with the operation as it is, gives every event since its
// start, or since Last-Event-ID, and ends with the operation as it has ended. Finished
// operations are forgotten, the oldest first, when there are too many.
//
// Nothing is kept on disk.
package operation
