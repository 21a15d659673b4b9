package scrape_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
)

func Example() {
	asked := prometheus.NewCounter(prometheus.CounterOpts{Name: "rbee_example_questions_total", Help: "Questions."})
	asked.Inc()
	h := httpd.Routes(slog.New(slog.DiscardHandler), []httpd.Route{
		{Method: "GET", Path: "/metrics", Handler: scrape.Handler(asked)},
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "rbee_") || strings.HasPrefix(line, "# TYPE go_goroutines") {
			fmt.Print(line)
		}
	}
	// Output:
	// # TYPE go_goroutines gauge
	// rbee_example_questions_total 1
}
