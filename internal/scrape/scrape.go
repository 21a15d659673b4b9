package scrape

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Handler answers with what the collectors, the runtime and the process have to tell.
// Two collectors of the same name are a defect, and panic.
func Handler(own ...prometheus.Collector) httpd.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(own...)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	h := promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

// Doc describes the route.
func Doc() httpd.Doc {
	return httpd.Doc{Summary: "Figures for Prometheus", Gives: httpd.Text("text/plain")}
}
