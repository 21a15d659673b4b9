// Package gui is rbee-gui: a web page that shows the cluster, spawns, stops and talks to
// workers, with or without a queen.
//
//	ln, err := httpd.Listen(ctx, "127.0.0.1:5173")
//	...
//	g, err := gui.New(ctx, gui.Config{RegistryURL: registry.DefaultURL, Here: hive.Config{...}})
//	...
//	err = g.Run(ctx, ln) // until ctx ends
//
// It watches the registry, and the launches of this machine's user, and tells each open
// page what changes as server-sent events. Workers are spawned here, as a hive would
// (package hive, below /api/here), or by a hive or the queen, to whom requests are passed
// on; so are chats, straight to a worker or through the queen. The page is in page/, and
// built into dist/, which is embedded.
//
// It keeps nothing on disk but what launches keep, and the registry's last word.
package gui
