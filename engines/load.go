package engines

import (
	"context"
	"log/slog"
)

// LoadRequest is what Load is told.
type LoadRequest struct {
	BaseURL  string // of the running engine: "http://127.0.0.1:8080"
	Model    Model
	StateDir string       // where digests of big files are remembered; "" computes them each time
	Log      *slog.Logger // of the steps that take time; discarded when nil
}

// Load has an engine that answers load its model, where its profile says that this
// is a step of its own, and returns once the model is loaded. It returns the name
// under which the engine serves it. A model that the engine does not have, or can't
// load, is a *ModelError with the engine's own words. Time is bounded by ctx alone: a
// big model may take minutes.
func (p Profile) Load(ctx context.Context, r LoadRequest) (served string, err error) {
	if p.Loading == "" || r.Model == (Model{}) {
		return r.Model.Alias, nil
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	return ollama{engine: p.Name, LoadRequest: r}.load(ctx)
}
