package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// ExitError means that the child ended and is not started again.
type ExitError struct {
	Name  string
	Exit  guard.Exit
	Early bool     // it had never been ready
	Last  []string // its last lines of output
}

func (e *ExitError) Error() string {
	when := ""
	if e.Early {
		when = " before it was ready"
	}
	return fmt.Sprintf("%s ended%s: %s", e.Name, when, e.Exit)
}

// NotReadyError means that a start took too long.
type NotReadyError struct {
	Name    string
	Stalled bool          // no sign of life for After; else After was the limit
	After   time.Duration // rounded to what people read
	Seen    Vitals        // the last there was
	Last    []string      // its last lines of output
}

func (e *NotReadyError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is not ready after %s", e.Name, e.After)
	if e.Stalled {
		fmt.Fprintf(&b, " without a sign of life")
	}
	if e.Seen.Waiting != "" {
		fmt.Fprintf(&b, ": %s", e.Seen.Waiting)
	}
	return b.String()
}

// PortTakenError means that the child's address turned out to be another's.
type PortTakenError struct {
	Name   string
	Addr   string
	Holder string // who listens there, "redis-server (pid 42)"; may be unknown
	Said   string // the child's own words, when it gave up by itself
}

func (e *PortTakenError) Error() string {
	switch {
	case e.Holder != "":
		return fmt.Sprintf("%s can't have %s: %s listens there", e.Name, e.Addr, e.Holder)
	case e.Said != "":
		return fmt.Sprintf("%s can't have %s: it says %q", e.Name, e.Addr, e.Said)
	default:
		return fmt.Sprintf("%s can't have %s: another process listens there", e.Name, e.Addr)
	}
}

// SurvivorError means that something below the child outlived SIGKILL, which only
// the kernel can bring about (a process stuck in a device or a dead mount).
type SurvivorError struct {
	Name string
	PID  int       // of the child
	Left []Process // what hangs, as far as it can be told
}

func (e *SurvivorError) Error() string {
	left := ""
	for _, p := range e.Left {
		left += ", " + p.String()
	}
	return fmt.Sprintf("stop %s: SIGKILL did not end the tree of pid %d within %s: it hangs in the kernel%s", e.Name, e.PID, killLimit, left)
}

// Fatal marks a probe's error as final: the start fails at once with it.
func Fatal(err error) error { return &fatalError{err} }

type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

// Loading marks a probe's error as a sign of life: the child said that it is
// loading.
func Loading(err error) error { return &loadingError{err} }

type loadingError struct{ error }

func (e *loadingError) Unwrap() error { return e.error }

func isFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f)
}

func isLoading(err error) bool {
	var l *loadingError
	return errors.As(err, &l)
}
