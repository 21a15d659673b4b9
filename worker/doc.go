// Package worker is the built-in worker: a small, honest simulation of a model
// server, for trying things out and for continuous integration. It runs no
// model; it says so in its log, in /capabilities and in every answer.
//
//	ln, err := httpd.Listen(ctx, "127.0.0.1:8080")
//	...
//	w := worker.New(worker.Config{Model: "llama-3.2-1b", LoadTime: 3 * time.Second, Log: log})
//	err = w.Run(ctx, ln) // until ctx ends; errors.Is(err, worker.ErrCrashed) when it was told to crash
//
// It speaks the OpenAI protocol (/v1/models, /v1/chat/completions,
// /v1/completions, /v1/embeddings; streams too), answers /health, /capabilities,
// /metrics and /openapi.json, and registers itself with the registry and the queen when it is
// given their addresses. Its answers follow from the request alone, and it counts
// a word as a token. Every fault that a launcher has to survive can be asked for;
// see Faults.
//
// It does not handle signals: a program that is to ignore SIGTERM just doesn't
// end ctx when one comes. It does not exit either: a program turns ErrCrashed
// into an exit status, at once and without farewells.
package worker
