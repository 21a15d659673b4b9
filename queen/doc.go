// Package queen is queen-rbee: she knows every worker and hive, what each can do
// and whether it lives.
//
//	ln, err := httpd.Listen(ctx, "0.0.0.0:7833")
//	...
//	q := queen.New(queen.Config{RegistryURL: registry.DefaultURL, Log: log})
//	err = q.Run(ctx, ln) // until ctx ends
//
// Workers become known in two ways, and doubles are one worker: whoever spawned
// one registers it here (the fast path), and the registry is watched (the
// truth: any start order ends in the same state). Without a registry the first
// way alone works. Lists are bare JSON arrays, sorted by id; their times are for
// people, statuses are judged by the monotonic clock.
//
// A worker or hive is asked for its capabilities at the address it advertises and
// nowhere else: no redirects, no proxies, bounded time and size.
//
// GET /openapi.json describes her API.
//
// She does not route requests or spawn workers yet, and keeps nothing on disk.
package queen
