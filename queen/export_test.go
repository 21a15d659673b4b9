package queen

import (
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Table is the route table.
func (q *Queen) Table() []httpd.Route { return q.routes() }

// Model is what the worker of that id serves, as far as the queen knows.
func (q *Queen) Model(id string) string {
	q.table.mu.Lock()
	defer q.table.mu.Unlock()
	return q.table.book.members[key{registry.Worker, id}].Model
}
