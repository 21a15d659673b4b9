// Package apitest holds a server to its OpenAPI document, in tests.
//
//	doc, err := apitest.Parse(text) // it is valid OpenAPI 3.1
//	...
//	err = doc.Check("GET /health", resp.StatusCode, resp.Header, body) // and true
//
// It is stricter than callers are to be: an answer must not have a field that is not
// described. And it sends servers what they have to cut off: HalfABody. Nothing but tests imports it.
package apitest
