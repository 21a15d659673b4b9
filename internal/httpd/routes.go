package httpd

import (
	"errors"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
)

// Handler answers one request or returns why not; Routes turns the error into
// the answer.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one line of a server's table of contents. Path is a net/http pattern
// without the method; {name} parts are read with r.PathValue.
type Route struct {
	Method  string
	Path    string
	Handler Handler
	Doc     Doc // for people and their tools; Routes does not read it
}

// Routes makes the handler of a route table. A path that no route names is a
// JSON 404, also one with "//" or ".." in it; a known path with another method a JSON 405 that names the methods.
// Errors that are no Problem are logged and answered as 500.
func Routes(log *slog.Logger, routes []Route) http.Handler {
	return RoutesAs(log, WriteProblem, routes)
}

// RoutesAs is Routes for a protocol whose errors have a shape of their own:
// every error, those of unknown paths and methods too, is answered by write.
func RoutesAs(log *slog.Logger, write func(http.ResponseWriter, error), routes []Route) http.Handler {
	reply := func(h Handler) http.Handler { return answer(log, write, h) }
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for _, rt := range routes {
		methods[rt.Path] = append(methods[rt.Path], rt.Method)
		mux.Handle(rt.Method+" "+rt.Path, reply(rt.Handler))
	}
	for at, allowed := range methods {
		slices.Sort(allowed)
		mux.Handle(at, reply(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			return Errorf(http.StatusMethodNotAllowed, "method_not_allowed",
				"%s does not take %s, it takes %s", Brief(r.URL.Path), r.Method, strings.Join(allowed, ", "))
		}))
	}
	unknown := reply(func(_ http.ResponseWriter, r *http.Request) error {
		return Errorf(http.StatusNotFound, "unknown_path", "there is nothing at %s", Brief(r.URL.Path))
	})
	if _, taken := methods["/"]; !taken {
		mux.Handle("/", unknown)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !clean(r.URL.EscapedPath()) { // the mux would redirect, with a web page
			unknown.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// clean reports whether a path is as it would be written without detours.
func clean(p string) bool {
	plain := path.Clean(p)
	return p == plain || plain != "/" && p == plain+"/"
}

func answer(log *slog.Logger, write func(http.ResponseWriter, error), h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		var p *Problem
		if !errors.As(err, &p) {
			log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
		}
		write(w, err)
	})
}
