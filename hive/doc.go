// Package hive is rbee-hive: one on each machine, it spawns workers there on request.
//
//	ln, err := httpd.Listen(ctx, "0.0.0.0:7835")
//	...
//	h, err := hive.New(hive.Config{ID: "box2", RegistryURL: registry.DefaultURL, Keeper: keeper, ...})
//	...
//	err = h.Run(ctx, ln) // until ctx ends
//
// A spawn is answered at once with an operation, whose events tell how the start goes.
// Each worker is a launch (package launch) in a process of its own, the keeper: it
// registers the worker, beats for it, starts it again and stops it. So a hive that is
// stopped, killed or replaced leaves its workers as they are, finds them in the runtime
// directory when it comes back, and gives those a keeper whose own was killed.
//
// It keeps no list of workers besides that directory, takes no heartbeats, and runs
// nothing but what its engine profiles name: a request chooses among them.
//
// The program's main must begin with guard.Main (package supervisor/guard), and know the
// keeper's command: see Keep.
package hive
