package ports

import (
	"fmt"
	"strings"
)

// ExhaustedError is Acquire's answer when no port of the range can be had.
type ExhaustedError struct {
	Range    Range
	Holders  []Holder // of every port that is taken, low to high
	Unusable error    // why the first of the others can't be used; nil when all are taken
}

// shown is how many holders the text names: enough to recognise a pattern.
const shown = 3

func (e *ExhaustedError) Error() string {
	names := make([]string, 0, shown)
	for _, h := range e.Holders[:min(shown, len(e.Holders))] {
		names = append(names, h.String())
	}
	text := fmt.Sprintf("lease a port in %s: all %d are taken: %s", e.Range, len(e.Holders), strings.Join(names, ", "))
	if e.Unusable != nil {
		text = fmt.Sprintf("lease a port in %s: %d are taken, the others can't be used: %v; taken: %s",
			e.Range, len(e.Holders), e.Unusable, strings.Join(names, ", "))
	}
	if more := len(e.Holders) - shown; more > 0 {
		text += fmt.Sprintf(", ... and %d more", more)
	}
	return text
}

// Unwrap is Unusable, so that a lack of permission can be told from a full range.
func (e *ExhaustedError) Unwrap() error { return e.Unusable }

// TakenError is AcquirePort's answer when another has the port.
type TakenError struct {
	Holder Holder
}

func (e *TakenError) Error() string {
	verb := "taken by "
	if e.Holder.Listener == (Process{}) && e.Holder.Leased {
		verb = "" // "leased by ..." says it
	}
	return fmt.Sprintf("lease port %d: %s%s", e.Holder.Port, verb, e.Holder.who())
}
