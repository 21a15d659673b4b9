package server

import "context"

// store is the table as the handlers see it: no more than a table in memory and one that
// several registries share can both do. It writes its changes to a journal.
type store interface {
	// register keeps those that it can, and writes into each what came of it. The error is
	// for all of them: the store is not well.
	register(ctx context.Context, all ...*registration) error
	// heartbeat notes that those live, and writes for each what speaks against it into
	// verdicts, which are as many.
	heartbeat(ctx context.Context, verdicts []error, lives ...life) (revision uint64, err error)
	unregister(ctx context.Context, who life) (revision uint64, err error)
	// current is the newest view there is. It never waits, and knows of every write that
	// was answered before.
	current() *view
}
