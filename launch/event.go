package launch

import (
	"errors"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// EventType names what happened to a launch.
type EventType string

// The events, in the order in which a launch can show them.
const (
	Leased     EventType = "leased"
	Spawned    EventType = "spawned"
	Adopted    EventType = "adopted" // in place of leased and spawned
	Ready      EventType = "ready"
	Registered EventType = "registered" // With says where
	Unhealthy  EventType = "unhealthy"
	Healthy    EventType = "healthy"
	Exited     EventType = "exited"
	Restarting EventType = "restarting"
	Stopping   EventType = "stopping"
	Settling   EventType = "settling" // all has ended, and its memory on a GPU is waited for
	Stopped    EventType = "stopped"
	Failed     EventType = "failed"
	// Ended is the last event of a control socket, with the launch's exit code and error.
	Ended EventType = "ended"
	// Output is a line of the child's, where a control socket was asked for them.
	Output EventType = "output"
	// Progress comes twice a second while the child starts, for people; it is not
	// among the events that programs are shown.
	Progress EventType = "progress"
)

// Event is one thing that happened, as rbee-launch --json prints it.
type Event struct {
	Time       time.Time   `json:"time"`
	Event      EventType   `json:"event"`
	ID         string      `json:"id"`
	InstanceID string      `json:"instance_id,omitempty"`
	PID        int         `json:"pid,omitempty"`
	Port       int         `json:"port,omitempty"`
	URL        string      `json:"url,omitempty"`
	With       string      `json:"with,omitempty"`      // registered: "registry" or "queen"
	ExitCode   *int        `json:"exit_code,omitempty"` // exited, stopped if it ran, and failed by an exit: as a shell gives it
	Error      string      `json:"error,omitempty"`
	LastLines  []string    `json:"last_lines,omitempty"` // failed, and exited before ready: of the child's output
	WaitMS     int64       `json:"wait_ms,omitempty"`    // restarting: until then
	LeftMB     int64       `json:"left_mb,omitempty"`    // settling: what is in use beyond what was before the start
	Stop       *StopReport `json:"stop,omitempty"`       // stopped, exited, failed: what it took to end it, where that was anything
	Stream     string      `json:"stream,omitempty"`     // output: "stdout" or "stderr"
	Text       string      `json:"text,omitempty"`       // output

	Seen       supervisor.Vitals `json:"seen,omitzero"`         // Progress
	ModelBytes int64             `json:"model_bytes,omitempty"` // Progress: the size of the model's file, where there is one

	Err error `json:"-"` // behind Error
}

// fill takes over what the supervisor says.
func (e *Event) fill(s supervisor.Event) {
	e.Time, e.Event, e.PID = s.Time, EventType(s.Type), s.PID
	e.Seen, e.WaitMS, e.LeftMB = s.Seen, s.Wait.Milliseconds(), s.Left>>20
	e.Stop = StopReportOf(s.Stop)
	exit := s.Exit
	var early *supervisor.ExitError
	if errors.As(s.Err, &early) {
		exit = &early.Exit
	}
	if exit != nil {
		code := exit.ShellCode()
		e.ExitCode = &code
	}
	if s.Err != nil {
		e.Err, e.Error, e.LastLines = s.Err, s.Err.Error(), LastLines(s.Err)
	}
}

// LastLines are the child's last words, if err, an error of Run's, carries any.
func LastLines(err error) []string {
	var exit *supervisor.ExitError
	var late *supervisor.NotReadyError
	switch {
	case errors.As(err, &exit):
		return exit.Last
	case errors.As(err, &late):
		return late.Last
	default:
		return nil
	}
}

// ExitCode is what a command ends with whose launch ended with err, an error of Run's:
// the child's own code as a shell gives it, 0 after a stop, else 125.
func ExitCode(err error) int {
	var exit *supervisor.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && (!exit.Early || exit.Exit.ShellCode() != 0):
		return exit.Exit.ShellCode()
	default:
		return 125
	}
}
