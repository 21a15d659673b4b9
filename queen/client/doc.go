// Package client is the queen's words and the client that speaks them: a worker,
// or whoever spawned it, makes itself known to the queen.
//
//	queen, err := client.New(client.Config{Find: client.Through(reg), SpawnedBy: "gui"})
//	...
//	defer queen.Close()
//	a := registry.Announcement{To: queen, Component: worker, Interval: client.HeartbeatInterval, BeatAtOnce: true}
//	err = a.Run(ctx)
//
// A Client is a registry.Registrar, so that one announcing loop serves the
// registry and the queen. It retries nothing by itself and keeps no state: where
// the queen is may be asked at every attempt, so that one which starts later, or
// moves, is found. It does not import the queen: only what goes over the wire is
// here.
package client
