package worker

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/scrape"
)

// metrics are what one worker tells Prometheus of itself.
type metrics struct {
	started  time.Time
	requests *prometheus.CounterVec // by endpoint and how it ended
	running  prometheus.Gauge
	tokens   *prometheus.CounterVec // by prompt or generated
	serve    httpd.Handler
}

func newMetrics(w *Worker) *metrics {
	m := &metrics{
		started: time.Now(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rbee_worker_requests_total",
			Help: "Inference requests by endpoint and result (an HTTP status, or aborted).",
		}, []string{"endpoint", "result"}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rbee_worker_requests_running",
			Help: "Inference requests being answered now.",
		}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rbee_worker_tokens_total",
			Help: "Simulated tokens (words) by kind: prompt or generated.",
		}, []string{"kind"}),
	}
	up := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rbee_worker_ready",
		Help: "1 while the worker is healthy, 0 while it loads or fails.",
	}, func() float64 {
		if phase(w.phase.Load()) == ready {
			return 1
		}
		return 0
	})
	m.serve = scrape.Handler(m.requests, m.running, m.tokens, up)
	return m
}
