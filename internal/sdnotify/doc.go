// Package sdnotify tells the service manager that runs this process (systemd, with
// Type=notify) how it is: that it is ready, what it does, that it lives, that it stops.
// See sd_notify(3).
//
//	service := sdnotify.Start(log) // nil when no manager wants to know
//	defer service.Close()
//	service.Ready("listening on 0.0.0.0:7830")
//	for range time.Tick(service.WatchdogInterval()) { // where that is not 0
//		service.Alive(0)
//	}
//
// Nothing waits for the manager: one that takes no messages holds up nobody.
//
// It takes no sockets over from the manager (LISTEN_FDS), and it leaves the variables
// in the environment: supervisor.ChildEnv keeps them from children.
package sdnotify
