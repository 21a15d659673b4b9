package queen

import (
	"cmp"
	"time"
)

// Limits are how long each phase of a request to a model may take. They are for what
// hangs, not for what is slow: a long prompt is read for minutes before the first token.
type Limits struct {
	Body      time.Duration // until the client has sent the request; 1 min when zero
	Connect   time.Duration // to the worker; 5 s when zero
	FirstByte time.Duration // of the answer's body, from the moment a worker was chosen; 15 min when zero
	Between   time.Duration // two pieces of the answer; 5 min when zero
	Write     time.Duration // until the client has taken a piece; 1 min when zero
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Body:      cmp.Or(l.Body, time.Minute),
		Connect:   cmp.Or(l.Connect, 5*time.Second),
		FirstByte: cmp.Or(l.FirstByte, 15*time.Minute),
		Between:   cmp.Or(l.Between, 5*time.Minute),
		Write:     cmp.Or(l.Write, time.Minute),
	}
}
