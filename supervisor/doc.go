// Package supervisor runs one OS process from its start to the end of the last
// thing it left behind: it knows when the process is really ready, watches that it
// stays well, starts it again by policy, and stops it with everything below it.
//
//	err := supervisor.Run(ctx, supervisor.Config{
//		Spec: func(context.Context, supervisor.Attempt) (supervisor.Spec, error) {
//			return supervisor.Spec{
//				Argv:  []string{"redis-server", "--port", "8080"},
//				Addr:  "127.0.0.1:8080",
//				Ready: []supervisor.Probe{supervisor.TCP("127.0.0.1:8080")},
//			}, nil
//		},
//		OnEvent: func(e supervisor.Event) { fmt.Println(e.Type, e.PID) },
//	})
//
// Run blocks until ctx ends (then the child is stopped, its tree is gone and nil
// is returned) or until the child ended and is not to be started again. The
// program's main must begin with guard.Main, see package guard.
//
// "Ready" means that every readiness probe passed, and that whatever listens on
// Spec.Addr belongs to the child's own tree: a stranger's answer counts for
// nothing. "Ended" means that no descendant is left.
//
// It knows nothing of ports to choose, engines, registries or queens; package
// launch joins those.
package supervisor
