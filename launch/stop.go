package launch

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// StopReport is what it took to end a child with everything that it had started.
type StopReport struct {
	Signals  []string  `json:"signals"` // in the order in which they were sent
	TookMS   int64     `json:"took_ms"` // from the first of them until the last process was gone
	Laggards []Laggard `json:"laggards,omitempty"`
}

// Laggard is a process that still ran when SIGKILL had to be sent.
type Laggard = supervisor.Process

// StopReportOf is the supervisor's account of a stop as events tell it; nil for nil.
func StopReportOf(s *supervisor.Stop) *StopReport {
	if s == nil {
		return nil
	}
	stop := &StopReport{TookMS: s.Took.Milliseconds(), Laggards: s.Laggards}
	for _, x := range s.Sent {
		stop.Signals = append(stop.Signals, unix.SignalName(x.Signal))
	}
	return stop
}

// maxNamed bounds the laggards that people are told of.
const maxNamed = 5

// Trouble says, for people, what ending a child took beyond one signal:
// "it did not end within 10 s of SIGTERM and was killed (pid 42 python3 was left)". It
// is "" where one signal did, or none was needed. The event is the one that the end of
// the child was told with.
func (e Event) Trouble() string {
	s := e.Stop
	if s == nil || len(s.Signals) == 0 {
		return ""
	}
	first, last := s.Signals[0], s.Signals[len(s.Signals)-1]
	took := (time.Duration(s.TookMS) * time.Millisecond).Round(10 * time.Millisecond)
	switch {
	case last != killed && len(s.Signals) > 1:
		return fmt.Sprintf("%s did not end it, %s did, after %s in all", first, last, inWords(took))
	case last != killed:
		return ""
	case len(s.Laggards) > 0 && !s.lags(e.PID):
		return fmt.Sprintf("it left something behind, which was killed (%s)", s.left())
	case len(s.Signals) == 1:
		return "" // nothing else was asked for
	case len(s.Laggards) == 0:
		return fmt.Sprintf("it did not end within %s of %s and was killed", inWords(took), first)
	default:
		return fmt.Sprintf("it did not end within %s of %s and was killed (%s)", inWords(took), first, s.left())
	}
}

const killed = "SIGKILL"

func (s *StopReport) lags(pid int) bool {
	for _, l := range s.Laggards {
		if l.PID == pid {
			return true
		}
	}
	return false
}

// left names the laggards: "pid 42 python3 and pid 43 sleep were left".
func (s *StopReport) left() string {
	var names []string
	for _, l := range s.Laggards[:min(len(s.Laggards), maxNamed)] {
		names = append(names, l.String())
	}
	if more := len(s.Laggards) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	last := len(names) - 1
	if last == 0 {
		return names[0] + " was left"
	}
	return strings.Join(names[:last], ", ") + " and " + names[last] + " were left"
}

// inWords is "250 ms", "1.5 s" or "2m0s".
func inWords(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + " s"
	default:
		return d.Round(time.Second).String()
	}
}
