package hive

import "github.com/rbee-launch/rbee-launch/internal/httpd"

// Table is the route table.
func (h *Hive) Table() []httpd.Route { return h.routes() }
