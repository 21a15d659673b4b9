package hive

import (
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/inventory"
	"github.com/rbee-launch/rbee-launch/registry"
)

type health struct {
	Status string `json:"status" enum:"ok"`
}

func (h *Hive) health(w http.ResponseWriter, _ *http.Request) error {
	return httpd.WriteJSON(w, http.StatusOK, health{"ok"})
}

// capabilities are what the machine has, and who tells of it.
type capabilities struct {
	Kind    registry.Kind `json:"component_type" enum:"hive"`
	ID      string        `json:"component_id"`
	Workers int           `json:"workers" doc:"That it is the parent of."`
	inventory.Machine
}

func (h *Hive) capabilities(w http.ResponseWriter, r *http.Request) error {
	own, err := h.launches()
	if err != nil {
		h.log.Warn("the workers can't be counted", "err", err)
	}
	return httpd.WriteJSON(w, http.StatusOK, capabilities{
		Kind: registry.Hive, ID: h.cfg.ID, Workers: len(own), Machine: h.inventory.Look(r.Context()),
	})
}
