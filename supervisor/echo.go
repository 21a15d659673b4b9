package supervisor

import (
	"strings"
	"time"
	"unicode"
)

const (
	echoWithin = time.Second            // of a probe's beginning, while it is under way
	echoAfter  = 100 * time.Millisecond // its end
	maxShapes  = 100                    // that are remembered of one probe
	maxShape   = 256                    // bytes of a line that are compared
)

// echoes tells the lines that a child prints because it is probed, such as those of an
// access log, from those that it prints by itself. Only the latter are signs of life: a
// server that logs our questions and never gets ready would look alive for ever.
//
// A line is an echo when it comes with a probe and one like it came with the probe
// before. Either alone would take signs of life for echoes: a child that seldom prints may
// do so just when it is probed, and the lines of a progress are alike. What is an echo
// and comes late, on a machine that is very busy, puts a stall off, and no more.
type echoes struct {
	began, ended time.Time       // of the latest probe; ended is zero while it is under way
	before, now  map[string]bool // the shapes of the lines that came with the one before, and with this
}

func (e *echoes) begin(now time.Time) {
	e.before, e.now = e.now, map[string]bool{}
	e.began, e.ended = now, time.Time{}
}

func (e *echoes) end(now time.Time) { e.ended = now }

// echo takes the next line.
func (e *echoes) echo(line string, now time.Time) bool {
	switch {
	case e.began.IsZero():
		return false
	case e.ended.IsZero() && now.Sub(e.began) > echoWithin:
		return false
	case !e.ended.IsZero() && now.Sub(e.ended) > echoAfter:
		return false
	}
	s := shape(line)
	if len(e.now) < maxShapes {
		e.now[s] = true
	}
	return e.before[s]
}

// shape is a line without the words that hold digits: times, ports, counts, ids.
func shape(line string) string {
	words := strings.Fields(line[:min(len(line), maxShape)])
	kept := words[:0]
	for _, word := range words {
		if !strings.ContainsFunc(word, unicode.IsDigit) {
			kept = append(kept, word)
		}
	}
	return strings.Join(kept, " ")
}
