package worker

import (
	"net"
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// health is what a readiness or liveness probe is told.
type health struct {
	Status     string `json:"status" enum:"ok,loading,failing"`
	Simulation bool   `json:"simulation"`
	Model      string `json:"model"`
	Percent    *int32 `json:"percent,omitempty" doc:"While it loads: how far it has come."`
	Reason     string `json:"reason,omitempty" doc:"Why it fails."`
}

func (w *Worker) health(rw http.ResponseWriter, _ *http.Request) error {
	body := health{Status: "ok", Simulation: true, Model: w.cfg.Model}
	status := http.StatusOK
	switch phase(w.phase.Load()) {
	case loading:
		status = http.StatusServiceUnavailable
		body.Status, body.Percent = "loading", new(w.percent.Load())
	case failing:
		status = http.StatusServiceUnavailable
		body.Status, body.Reason = "failing", "it was told to fail (UnhealthyAfter)"
	case ready:
	}
	return httpd.WriteJSON(rw, status, body)
}

// capabilities are what the queen asks of a worker that she got to know.
type capabilities struct {
	WorkerID      string     `json:"worker_id"`
	WorkerType    string     `json:"worker_type"`
	Model         string     `json:"model"`
	Models        []string   `json:"models"`
	Simulation    bool       `json:"simulation"`
	Note          string     `json:"note"`
	ContextLength int        `json:"context_length" doc:"In tokens, prompt and answer together."`
	Streaming     bool       `json:"streaming"`
	Endpoints     []string   `json:"endpoints"`
	Embedding     dimensions `json:"embedding"`
}

type dimensions struct {
	Dimensions    int `json:"dimensions" doc:"Of one for which none are asked for."`
	MaxDimensions int `json:"max_dimensions"`
}

func (w *Worker) capabilities(rw http.ResponseWriter, r *http.Request) error {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return httpd.WriteJSON(rw, http.StatusOK, capabilities{
		WorkerID:      w.cfg.id(local),
		WorkerType:    workerType,
		Model:         w.cfg.Model,
		Models:        []string{w.cfg.Model},
		Simulation:    true,
		Note:          "a simulation of a model server: it runs no model",
		ContextLength: w.cfg.ContextLength,
		Streaming:     true,
		Endpoints:     []string{"/v1/models", "/v1/chat/completions", "/v1/completions", "/v1/embeddings"},
		Embedding:     dimensions{defaultDimensions, maxDimensions},
	})
}

// modelList is /v1/models.
type modelList struct {
	Object string      `json:"object" enum:"list"`
	Data   []modelCard `json:"data"`
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
	return httpd.WriteJSON(rw, http.StatusOK, modelList{"list", []modelCard{w.card()}})
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
	p := httpd.Errorf(http.StatusNotFound, codeNoModel, "the model %q is not here; this worker serves %q", httpd.Brief(model), w.cfg.Model)
	p.Field = "model"
	return p
}

// loaded lets a request through once the model is there.
func (w *Worker) loaded(h httpd.Handler) httpd.Handler {
	return func(rw http.ResponseWriter, r *http.Request) error {
		if phase(w.phase.Load()) == loading {
			return httpd.Errorf(http.StatusServiceUnavailable, codeLoading, "the model is loading (%d %%)", w.percent.Load())
		}
		return h(rw, r)
	}
}
