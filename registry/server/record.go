package server

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// record is one version of a component. It is never written to, so that whoever has one
// may read it without a lock, for as long as it likes. Its LastSeen is zero: that moves
// without a new version, and is the slot's.
type record struct {
	registry.Entry
	head   string // the entry's JSON up to where the time follows at which it was last seen
	status int    // where the status is in head
	slot   *slot
}

// slot is what all versions of a component share.
type slot struct {
	seen   atomic.Int64 // the moment of the last sign of life; written under the table's lock
	from   *address     // who registered it; nil for one of this machine
	now    *record      // the version that holds, under the table's lock, like all below
	before *slot        // in the queue of its status
	after  *slot
}

func (s *slot) lastSeen() moment { return moment(s.seen.Load()) }

// An entry's JSON ends with these, in this order; what a client said is before them.
const (
	statusField = `"status":"`
	unseen      = `0001-01-01T00:00:00Z"}`
)

// newRecord encodes e, once for all answers that it will be in.
func newRecord(e registry.Entry, s *slot) (*record, error) {
	e.LastSeen = time.Time{}
	text, err := e.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encode %s %q: %w", e.Kind, e.ID, err)
	}
	head, whole := strings.CutSuffix(string(text), unseen)
	at := strings.LastIndex(head, statusField)
	if !whole || at < 0 {
		return nil, fmt.Errorf("encode %s %q: an entry should end with its status and times: %s", e.Kind, e.ID, text)
	}
	shareText(&e.Component, head[:at])
	return &record{Entry: e, head: head, status: at + len(statusField), slot: s}, nil
}

// shareText makes c's words parts of its JSON, as far as they are in it to the letter. With
// a million components, a few strings less for each make a third of the memory.
func shareText(c *registry.Component, text string) {
	for _, word := range []*string{&c.ID, &c.InstanceID, &c.Hostname, &c.WorkerType, &c.Model} {
		if at := strings.Index(text, *word); at >= 0 {
			*word = text[at : at+len(*word)]
		}
	}
}

// with is r with another status.
func (r *record) with(status registry.Status) *record {
	next := *r
	next.Status = status
	next.head = r.head[:r.status] + string(status) + r.head[r.status+len(r.Status):]
	shareText(&next.Component, next.head[:next.status]) // or it would keep r's
	return &next
}

// appendJSON appends the entry. born is the wall clock's time of the moment 0.
func (r *record) appendJSON(text []byte, born time.Time) []byte {
	text = append(text, r.head...)
	text = born.Add(r.slot.lastSeen()).AppendFormat(text, time.RFC3339Nano)
	return append(text, `"}`...)
}

// entry is r with when it was last seen.
func (r *record) entry(born time.Time) registry.Entry {
	e := r.Entry
	e.LastSeen = born.Add(r.slot.lastSeen())
	return e
}

// queue holds slots in the order in which they were last seen. Whoever gives a sign of
// life goes to its end, which costs the same however many there are.
type queue struct{ first, last *slot }

// push adds s. Its place is the end, unless some were judged before it was their turn.
func (q *queue) push(s *slot) {
	before := q.last
	for before != nil && before.lastSeen() > s.lastSeen() {
		before = before.before
	}
	s.before = before
	if before == nil {
		s.after, q.first = q.first, s
	} else {
		s.after, before.after = before.after, s
	}
	if s.after == nil {
		q.last = s
	} else {
		s.after.before = s
	}
}

func (q *queue) remove(s *slot) {
	if s.before == nil {
		q.first = s.after
	} else {
		s.before.after = s.after
	}
	if s.after == nil {
		q.last = s.before
	} else {
		s.after.before = s.before
	}
	s.before, s.after = nil, nil
}
