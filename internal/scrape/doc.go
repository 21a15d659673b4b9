// Package scrape answers Prometheus' GET /metrics for rbee's servers.
//
//	httpd.Route{Method: "GET", Path: "/metrics", Handler: scrape.Handler(requests, tokens)}
//
// Beside the collectors given there are those of the Go runtime and of the process,
// as on every server of ours. Each handler has a registry of its own, so that two
// servers in one process do not meet.
package scrape
