package worker

import "github.com/rbee-launch/rbee-launch/internal/httpd"

// Table is the route table.
func (w *Worker) Table() []httpd.Route { return append(w.routes(), w.modelRoutes()...) }
