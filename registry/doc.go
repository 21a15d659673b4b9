// Package registry holds the words of discovery (Component, Kind, Status), the
// client of rbee-registry, and the loop that keeps a component known.
//
//	c, err := registry.NewClient(registry.Config{}) // the registry on this machine
//	...
//	defer c.Close()
//	workers, err := c.Workers(ctx, registry.Filter{Status: registry.Online})
//	...
//	err = c.Announce(ctx, me) // until ctx ends
//
// A query whose answer can't be had gives the last one known, marked stale: a
// registry that is away stops nobody from working. Announcement takes any
// Registrar, since the queen is one too.
//
// It keeps no table (registry/server does), starts no process, and does not
// watch for changes yet: ask again, an unchanged answer costs one 304.
package registry
