package registry

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// errLost: what a watch has told does not add up; it has to begin anew.
var errLost = errors.New("changes of the registry were missed")

// replica is a copy of what the registry knows, kept up by its changes. Taking one costs
// the same however many components there are: the lists are made when they are wanted.
type replica struct {
	at             Snapshot // its lists are as they were given out last, and not written to
	hives, workers pending  // since then
}

// pending is what has become of components, by id; nil is gone. It grows with their number,
// not with that of their changes.
type pending map[string]*Entry

// reset makes all the whole of the copy.
func (r *replica) reset(all Snapshot) {
	*r = replica{at: all, hives: pending{}, workers: pending{}}
	for _, list := range []*[]Entry{&r.at.Hives, &r.at.Workers} {
		if !slices.IsSortedFunc(*list, byID) { // merging goes by it
			*list = slices.SortedFunc(slices.Values(*list), byID)
		}
	}
}

// snapshot is the copy as a whole. Nobody writes to its lists.
func (r *replica) snapshot() Snapshot {
	r.at.Hives = r.hives.into(r.at.Hives)
	r.at.Workers = r.workers.into(r.at.Workers)
	return r.at
}

// apply takes the change that follows on what is here. One that is here already changes
// nothing: after a resumption some may be told again. The error is errLost.
func (r *replica) apply(c Change) error {
	switch {
	case c.Revision <= r.at.Revision:
		return nil
	case c.Revision != r.at.Revision+1:
		return fmt.Errorf("%w: revision %d came after %d", errLost, c.Revision, r.at.Revision)
	}
	e := &c.Component
	if c.Gone() {
		e = nil
	}
	switch id := c.Component.ID; c.Component.Kind {
	case Hive:
		r.hives[id] = e
	case Worker:
		r.workers[id] = e
	case Queen:
		if e != nil || (r.at.Queen != nil && r.at.Queen.ID == id) {
			r.at.Queen = e
		}
	case GUI:
		if err := r.applyGUI(c); err != nil {
			return err
		}
	}
	r.at.Revision = c.Revision
	return nil
}

// applyGUI: of several GUIs a snapshot has the one that came last. When that goes, only the
// registry knows who is next.
func (r *replica) applyGUI(c Change) error {
	shown, e := r.at.GUI, &c.Component
	mine := shown != nil && shown.ID == e.ID
	switch {
	case mine && (c.Gone() || e.RegisteredAt.Before(shown.RegisteredAt)):
		return fmt.Errorf("%w: there may be another GUI than %q", errLost, e.ID)
	case c.Gone():
	case shown == nil || mine || e.RegisteredAt.After(shown.RegisteredAt) || (e.RegisteredAt.Equal(shown.RegisteredAt) && e.ID < shown.ID):
		r.at.GUI = e
	}
	return nil
}

func byID(a, b Entry) int { return cmp.Compare(a.ID, b.ID) }

// into is a new list with what is pending in it, and nothing is pending any more.
func (p pending) into(list []Entry) []Entry {
	if len(p) == 0 {
		return list
	}
	merged := make([]Entry, 0, len(list)+len(p))
	for _, id := range slices.Sorted(maps.Keys(p)) {
		at, there := slices.BinarySearchFunc(list, id, func(e Entry, id string) int { return cmp.Compare(e.ID, id) })
		merged = append(merged, list[:at]...)
		if e := p[id]; e != nil {
			merged = append(merged, *e)
		}
		if there {
			at++
		}
		list = list[at:]
	}
	clear(p)
	return append(merged, list...)
}

// readChange reads a change's JSON. A component of a kind that there was none of when this
// was written is no matter of ours; its Kind is "" then.
func readChange(text []byte) (c Change, err error) {
	if err = json.Unmarshal(text, &c); err == nil {
		return c, nil
	}
	var raw struct {
		Revision  uint64
		Component struct {
			Kind Kind `json:"component_type"`
		}
	}
	if json.Unmarshal(text, &raw) == nil && raw.Revision > 0 && raw.Component.Kind != "" {
		switch raw.Component.Kind {
		case Hive, Worker, Queen, GUI:
		default:
			return Change{Revision: raw.Revision}, nil
		}
	}
	return Change{}, fmt.Errorf("%w: read a change: %w", errLost, err)
}
