// Package server is rbee-registry: the table of who is there, the judgement of
// who still is, and the HTTP API of both. All of it lives in memory.
//
//	ln, err := httpd.Listen(ctx, "0.0.0.0:7830")
//	...
//	err = server.Run(ctx, ln, server.Config{Log: log}) // until ctx ends
//
//	curl -d '{"hive_id":"box","hostname":"localhost","port":7835}' localhost:7830/v1/registry/register
//	curl localhost:7830/v1/registry/hives
//	curl -N localhost:7830/v1/registry/watch
//
// Lists of hives and workers are bare JSON arrays, sorted by id; components is
// an object. Each entry has the names of both request shapes (component_type
// and component_id, worker_id or hive_id). A list's ETag moves with the
// revision, and so not with last_seen.
//
// Writers take turns at the table (table.go, change.go) and publish a view
// (view.go) that readers take without waiting. Each change goes into a journal
// (journal.go), from which all watchers read (watch.go). When somebody falls
// silent is in policy.go. The handlers see all of it through one small interface
// (store.go).
//
// GET /openapi.json describes the API, and /v1/registry/prometheus-sd has everyone in the
// form that Prometheus reads.
//
// It keeps nothing on disk, calls no one, and judges no component by more than
// its silence.
package server
