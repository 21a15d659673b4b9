// Package openapi writes the OpenAPI 3.1 document of a server's route table, from the
// Go types that its handlers read and write.
//
//	routes := openapi.With(openapi.Info{Title: "rbee-registry"}, []httpd.Route{
//		{Method: "GET", Path: "/health", Handler: s.health, Doc: httpd.Doc{
//			Summary: "Whether it lives", Gives: httpd.JSON(health{}),
//		}},
//	})
//	h := httpd.Routes(log, routes) // GET /openapi.json is one of them
//
// A route that is in the table is in the document, and no other is. What every route
// has in common (the errors of access and of bodies) is said once, here. It checks no
// requests and no answers: handlers do the one, internal/apitest the other.
package openapi
