// Package httpd is the part that rbee's HTTP servers have in common: listening
// with a clear error, a route table, problem+json errors (RFC 9457), bounded
// JSON bodies, who may call and how often, and a serve loop that drains.
//
//	ln, err := httpd.Listen(ctx, "0.0.0.0:7830")
//	...
//	h := httpd.Routes(log, []httpd.Route{
//		{Method: "GET", Path: "/health", Handler: s.health},
//	})
//	err = httpd.Serve(ctx, ln, h, httpd.ServeOptions{Log: log})
//
// It knows nothing about components, models or processes.
package httpd
