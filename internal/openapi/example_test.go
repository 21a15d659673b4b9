package openapi_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
)

type health struct {
	Status string `json:"status" doc:"How it is."`
}

func Example() {
	routes := openapi.With(openapi.Info{Title: "example"}, []httpd.Route{
		{Method: "GET", Path: "/health", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			return httpd.WriteJSON(w, http.StatusOK, health{"ok"})
		}, Doc: httpd.Doc{Summary: "Whether it lives", Gives: httpd.JSON(health{})}},
	})
	w := httptest.NewRecorder()
	httpd.Routes(slog.New(slog.DiscardHandler), routes).ServeHTTP(w, httptest.NewRequest("GET", openapi.Path, nil))
	var document struct {
		Paths map[string]map[string]struct{ Summary string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		fmt.Println(err)
	}
	fmt.Println(document.Paths["/health"]["get"].Summary)
	fmt.Println(document.Paths["/openapi.json"]["get"].Summary)
	// Output:
	// Whether it lives
	// This document
}
