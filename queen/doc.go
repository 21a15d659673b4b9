// Package queen is queen-rbee: she knows every worker and hive, what each can do
// and whether it lives, and passes requests on to a worker that serves the model.
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
// Requests of the OpenAI protocol (/v1/models, /v1/chat/completions, /v1/completions,
// /v1/embeddings) go to the online worker with the fewest requests among those that serve
// the model, and its answer comes back as it is, piece by piece. What may have begun is
// never repeated, and an answer that was cut never looks whole.
//
// GET /openapi.json describes her API.
//
// A spawn is an operation at a hive that she follows. One that she does not know may be of an
// earlier life of hers: she looks for it at the hives, under its id. She keeps nothing on disk but
// the registry's last answers (Config.CacheDir).
package queen
