package queen

import (
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Table is the route table.
func (q *Queen) Table() []httpd.Route { return append(q.routes(), q.modelRoutes()...) }

// Busy is how many workers have requests, as far as she has counted.
func (q *Queen) Busy() (n int) {
	q.loads.mu.Lock()
	defer q.loads.mu.Unlock()
	for _, held := range q.loads.at {
		if held.running != 0 {
			n++
		}
	}
	return n
}

// Model is what the worker of that id serves, as far as the queen knows.
func (q *Queen) Model(id string) string {
	q.table.mu.Lock()
	defer q.table.mu.Unlock()
	return q.table.book.members[key{registry.Worker, id}].Model
}

// Promised is at how many hives how many starts are under way.
func (q *Queen) Promised() (hives, starts int) {
	q.spawns.mu.Lock()
	defer q.spawns.mu.Unlock()
	return len(q.spawns.pending), q.spawns.running
}
