package worker

import (
	"net"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// health answers what a readiness or liveness probe asks.
func (w *Worker) health(rw http.ResponseWriter, _ *http.Request) error {
	body := map[string]any{"status": "ok", "simulation": true, "model": w.cfg.Model}
	status := http.StatusOK
	switch phase(w.phase.Load()) {
	case loading:
		status = http.StatusServiceUnavailable
		body["status"], body["percent"] = "loading", w.percent.Load()
	case failing:
		status = http.StatusServiceUnavailable
		body["status"], body["reason"] = "failing", "it was told to fail (UnhealthyAfter)"
	case ready:
	}
	return httpd.WriteJSON(rw, status, body)
}

// capabilities answers what the queen asks of a worker that it got to know.
func (w *Worker) capabilities(rw http.ResponseWriter, r *http.Request) error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return httpd.WriteJSON(rw, http.StatusOK, map[string]any{
		"worker_id":      w.cfg.id(local),
		"worker_type":    workerType,
		"model":          w.cfg.Model,
		"models":         []string{w.cfg.Model},
		"simulation":     true,
		"note":           "a simulation of a model server: it runs no model",
		"context_length": w.cfg.ContextLength,
		"streaming":      true,
		"endpoints":      []string{"/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"},
		"embedding":      map[string]int{"dimensions": defaultDimensions, "max_dimensions": maxDimensions},
	})
}

// modelCard is one entry of /v1/models.
type modelCard struct {
	ID         string `json:"id"`
	Object     string `json:"object"`
	Created    int64  `json:"created"`
	OwnedBy    string `json:"owned_by"`
	Simulation bool   `json:"simulation"`
}

func (w *Worker) card() modelCard {
	return modelCard{ID: w.cfg.Model, Object: "model", Created: w.metrics.started.Unix(), OwnedBy: "rbee-simulation", Simulation: true}
}

func (w *Worker) models(rw http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(rw, http.StatusOK, map[string]any{"object": "list", "data": []modelCard{w.card()}})
}

func (w *Worker) model(rw http.ResponseWriter, r *http.Request) error {
	if err := w.serves(r.PathValue("id")); err != nil {
		return err
	}
	return httpd.WriteJSON(rw, http.StatusOK, w.card())
}

// serves refuses every model but ours, naming it.
func (w *Worker) serves(model string) error {
	if model == w.cfg.Model {
		return nil
	}
	p := httpd.Errorf(http.StatusNotFound, "model_not_found", "the model %q is not here; this worker serves %q", model, w.cfg.Model)
	p.Field = "model"
	return p
}

// loaded lets a request through once the model is there.
func (w *Worker) loaded(h httpd.Handler) httpd.Handler {
	return func(rw http.ResponseWriter, r *http.Request) error {
		if phase(w.phase.Load()) == loading {
			return httpd.Errorf(http.StatusServiceUnavailable, "loading", "the model is loading (%d %%)", w.percent.Load())
		}
		return h(rw, r)
	}
}
