package server

import (
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// change is one visible change: one revision.
type change struct {
	revision uint64
	op       registry.Op
	old      *record // nil when there was none
	new      *record // nil when there is none any more
	at       time.Time

	encode sync.Once // when it is first wanted
	text   []byte    // an event of a stream
	data   []byte    // the JSON in it
}

// size is about what the change takes to keep, in bytes: what was, what is, and its JSON.
func (c *change) size() int { return 512 + 3*len(c.record().head) }

// record is what the change is told with: what the component is now, or was last.
func (c *change) record() *record {
	if c.new != nil {
		return c.new
	}
	return c.old
}

// concerns reports whether the change shows in the list that f chooses: who leaves it
// has to be told of, too.
func (c *change) concerns(f filter) bool {
	return (c.old != nil && f.match(c.old)) || (c.new != nil && f.match(c.new))
}

// event is the change as a stream of the life of that epoch tells it, json as a poll does.
// All who are told share the bytes.
func (c *change) event(epoch string) []byte {
	c.encode.Do(func() {
		r := c.record()
		text := append(make([]byte, 0, len(r.head)+240), "id: "...)
		text = strconv.AppendUint(append(append(text, epoch...), '.'), c.revision, 10)
		text = append(text, "\nevent: change\ndata: "...)
		begin := len(text)
		text = strconv.AppendUint(append(text, `{"revision":`...), c.revision, 10)
		text = append(append(append(text, `,"op":"`...), c.op...), `","component":`...)
		text = append(text, r.head...)
		text = append(c.at.AppendFormat(text, time.RFC3339Nano), `"}}`...)
		end := len(text)
		c.text = append(text, "\n\n"...)
		c.data = c.text[begin:end]
	})
	return c.text
}

func (c *change) json(epoch string) []byte {
	c.event(epoch)
	return c.data
}

// The methods below change the table, under its lock. They are the only ones that do.

func (t *table) add(r *record, from netip.Addr) {
	s := r.slot
	t.slots[key{r.Kind, strings.Clone(r.ID)}] = s // r's own would keep its JSON as long as the component lives
	s.now = r
	s.seen.Store(int64(t.looked))
	t.queue(registry.Online).push(s)
	t.move(s, from)
	t.sorted.Set(r)
	t.bytes += len(r.head)
	t.changed(registry.OpRegistered, nil, r)
}

// replace makes r the version of s that holds.
func (t *table) replace(s *slot, r *record, what registry.Op) {
	old := s.now
	s.now = r
	if old.Status != r.Status {
		t.queue(old.Status).remove(s)
		t.queue(r.Status).push(s)
	}
	t.sorted.Set(r)
	t.bytes += len(r.head) - len(old.head)
	t.changed(what, old, r)
}

func (t *table) drop(s *slot, why registry.Op) {
	old := s.now
	delete(t.slots, key{old.Kind, old.ID})
	t.queue(old.Status).remove(s)
	t.move(s, netip.Addr{})
	t.sorted.Delete(old)
	t.bytes -= len(old.head)
	t.changed(why, old, nil)
}

// touch notes a sign of life.
func (t *table) touch(s *slot) {
	q := t.queue(s.now.Status)
	q.remove(s)
	s.seen.Store(int64(t.looked))
	q.push(s)
}

// move notes which machine has registered s; the zero address is this one.
func (t *table) move(s *slot, from netip.Addr) {
	if s.from != nil && s.from.ip == from {
		return
	}
	if s.from != nil {
		if s.from.count--; s.from.count == 0 {
			delete(t.addresses, s.from.ip)
		}
		s.from = nil
	}
	if !from.IsValid() {
		return
	}
	a := t.addresses[from]
	if a == nil {
		a = &address{ip: from}
		t.addresses[from] = a
	}
	a.count++
	s.from = a
}

func (t *table) queue(status registry.Status) *queue {
	if status == registry.Online {
		return &t.living
	}
	return &t.silent
}

func (t *table) changed(what registry.Op, before, after *record) {
	t.revision++
	c := &change{revision: t.revision, op: what, old: before, new: after}
	c.at = t.clock.born().Add(c.record().slot.lastSeen())
	t.fresh = append(t.fresh, c)
}

// publish shows readers and watchers what has changed.
func (t *table) publish() {
	if len(t.fresh) == 0 {
		return
	}
	t.view.Store(&view{revision: t.revision, all: t.sorted.Copy()})
	t.log.append(t.fresh)
	t.fresh = nil
}
