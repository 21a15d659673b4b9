// Package launch starts a server, knows that it is ready, has others find it, keeps
// it alive and takes it down again: a leased port, a supervised process, its health,
// and its registration with the registry and the queen, in that order.
//
//	err := launch.Run(ctx, launch.Config{
//		Type:     "llm",
//		Model:    "llama-3.2-1b",
//		Program:  launch.Command([]string{"my-server", "--port", "{port}"}, launch.Health{HTTP: "/health"}),
//		Registry: reg, // a *registry.Client; nil registers with none
//		OnEvent:  func(e launch.Event) { fmt.Println(e.Event, e.URL) },
//	})
//
// Run blocks until ctx ends or the child has ended for good; when it returns,
// nothing of the child is left. Neither the registry nor the queen can fail a
// launch: what can't be reached is tried until it can. Heartbeats are sent while the
// child's liveness probe passes, so that an entry says the truth; a restart is a new
// instance; a stop unregisters first.
//
// With a RuntimeDir other processes of the user see the launch (List) and command it
// (Open). A child that is to be kept (OnOrphan) survives the death of this process, and
// a later Run takes it over as it is (Adopt).
//
// The program's main must begin with guard.Main (package supervisor/guard).
//
// It does not choose an engine (package engines does), nor make a process of its own for
// a launch that is to outlive its caller (package launch/sidecar does).
package launch
