package worker

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are one worker's own, so that two of them in a process don't clash.
type metrics struct {
	started  time.Time
	requests *prometheus.CounterVec // by endpoint and how it ended
	running  prometheus.Gauge
	tokens   *prometheus.CounterVec // by prompt or generated
	handler  http.Handler
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
	reg := prometheus.NewRegistry()
	reg.MustRegister(m.requests, m.running, m.tokens, up,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) serve(rw http.ResponseWriter, r *http.Request) error {
	m.handler.ServeHTTP(rw, r)
	return nil
}
