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
//	for view := range c.Watch(ctx) { // one for what changes, and one every now and then
//		...
//	}
//
// A query whose answer can't be had gives the last one known, marked stale, and a watch
// goes on: a registry that is away stops nobody from working. Hosts in answers are ones
// that can be reached from here. Announcement takes any Registrar, since the queen is one
// too.
//
// It keeps no table (registry/server does), and starts no process.
package registry
