package server

import (
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Keep makes s keep no more than so many changes for those who follow.
func (s *Server) Keep(changes int) { s.journal.kept = make([]*change, changes) }

// Wall makes s read another wall clock.
func (s *Server) Wall(now func() time.Time) { s.clock.wall, s.table.clock.wall = now, now }

// Table is the route table.
func (s *Server) Table() []httpd.Route { return s.routes() }
