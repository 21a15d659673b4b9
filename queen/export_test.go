package queen

import "github.com/rbee-launch/rbee-launch/internal/httpd"

// Table is the route table.
func (q *Queen) Table() []httpd.Route { return q.routes() }
