package supervisor

import (
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// EventType names what happened.
type EventType string

// The events, in the order in which a life can show them.
const (
	Spawned    EventType = "spawned"
	Adopted    EventType = "adopted"  // in place of spawned: it ran already
	Progress   EventType = "progress" // about twice a second while it starts
	Ready      EventType = "ready"
	Unhealthy  EventType = "unhealthy"
	Healthy    EventType = "healthy"
	Exited     EventType = "exited" // the child ended, by itself or because it did not get ready again; its tree is gone
	Restarting EventType = "restarting"
	Stopping   EventType = "stopping"
	Settling   EventType = "settling" // its tree is gone, its memory on a GPU is not free yet; see Spec.GPU
	Stopped    EventType = "stopped"  // its tree is gone
	Failed     EventType = "failed"   // there is no going on; Run returns Err
)

// Event is one thing that happened to a child.
type Event struct {
	Time  time.Time
	Type  EventType
	Life  int // as in Attempt
	PID   int
	Start int64         // the process's start time in the system's unit; with PID it names the process
	Exit  *guard.Exit   // Exited, and Stopped if the child ran until then
	Err   error         // Unhealthy, Failed, and Exited when it was never ready: why
	Stop  *Stop         // Stopped, Exited, Failed: what it took to end it; nil where nothing had to be done
	Wait  time.Duration // Restarting: how long until then
	Seen  Vitals        // Progress
	Left  int64         // Settling: bytes in use beyond those before the child's start
}

// Vitals is what a starting child shows of itself.
type Vitals struct {
	Elapsed  time.Duration `json:"elapsed_ns"`
	RSS      uint64        `json:"rss_bytes"`           // of its tree
	CPU      time.Duration `json:"cpu_ns"`              // processor time of its tree
	IO       uint64        `json:"io_bytes"`            // read and written by its tree
	LastLine string        `json:"last_line,omitempty"` // of its output
	Waiting  string        `json:"waiting,omitempty"`   // the probe that has not passed, and what it said
	Answered bool          `json:"answered,omitempty"`  // what it said is more than "not yet": a status, an error
	Status   string        `json:"status,omitempty"`    // what the child says of itself, where a Notify probe listens
}

// Line is one line of a child's output, without its end.
type Line = guard.Line
