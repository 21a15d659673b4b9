// Package openai is what our servers of the OpenAI protocol have in common: the shape
// of its errors, so that its clients raise the right exception.
//
//	mux.Handle("/v1/", httpd.RoutesAs(log, openai.WriteError, routes))
//
// It knows no requests and no answers: those are each server's own.
package openai
