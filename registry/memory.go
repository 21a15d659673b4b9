package registry

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// known is the last answer to a query, as it came: decoding it anew gives each
// caller a value of its own.
type known struct {
	etag string
	body []byte
	asOf time.Time
}

// maxKnown bounds the answers kept: filters come in any number.
const maxKnown = 64

// seen is the last that a watch of this client knew.
type seen struct {
	Snapshot
	asOf time.Time
}

func (c *Client) lastKnown(path string) (known, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, there := c.known[path]
	return k, there
}

func (c *Client) keep(path string, k known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, there := c.known[path]
	if !there && len(c.known) >= maxKnown {
		for old := range c.known { // any will do: so many different queries have no favourite
			delete(c.known, old)
			break
		}
	}
	c.known[path] = k
	c.disk.learned(!there || k.etag != old.etag || k.etag == "" && string(k.body) != string(old.body))
}

// remember keeps what a watch knows: queries are answered from it when the registry is away.
func (c *Client) remember(all Snapshot, asOf time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !asOf.After(c.seen.asOf) {
		return // another watch's is newer
	}
	changed := all.Epoch != c.seen.Epoch || all.Revision != c.seen.Revision
	c.seen = seen{all, asOf}
	c.disk.learned(changed)
}

// load gets from disk what an earlier client knew and this one has not asked yet.
func (c *Client) load() {
	c.loaded.Do(func() {
		if c.disk == nil {
			return
		}
		answers := c.disk.read()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, a := range answers {
			if _, there := c.known[a.Path]; !there && len(c.known) < maxKnown {
				c.known[a.Path] = known{a.ETag, a.Body, a.AsOf}
			}
		}
	})
}

// recall is the last that is known of an answer, whether that was asked, or is part of
// something that was.
func recall[T any](c *Client, q question[T]) (value T, asOf time.Time, ok bool) {
	c.load()
	k, asked := c.lastKnown(q.path)
	if all, when, some := c.lastSnapshot(k.asOf); some {
		return q.from(all), when, true
	}
	if !asked {
		return value, asOf, false
	}
	value, err := read(c, q, k.body)
	return value, k.asOf, err == nil // what was on disk may be anything
}

// lastSnapshot is the last that is known of everything, if it is later than that.
func (c *Client) lastSnapshot(than time.Time) (all Snapshot, asOf time.Time, ok bool) {
	c.mu.Lock()
	watched, asked := c.seen, c.known[everything.path]
	c.mu.Unlock()
	if asked.asOf.After(than) && asked.asOf.After(watched.asOf) {
		all, err := read(c, everything, asked.body)
		if err == nil && all.Epoch != "" {
			return all, asked.asOf, true
		}
	}
	return watched.Snapshot, watched.asOf, watched.asOf.After(than)
}

// collect is what is to be kept on disk.
func (c *Client) collect() []onDisk {
	list := []onDisk{}
	c.mu.Lock()
	for path, k := range c.known {
		list = append(list, onDisk{path, k.etag, k.asOf, k.body})
	}
	watched := c.seen
	c.mu.Unlock()
	if watched.asOf.IsZero() {
		return list
	}
	if queen, err := json.Marshal(watched.Queen); err == nil { // she is there also when the whole is too large
		list = append(list, onDisk{seekQueen.path, "", watched.asOf, queen})
	}
	if (len(watched.Workers)+len(watched.Hives))*leastEntry > maxOnDisk {
		return list
	}
	if all, err := json.Marshal(watched.Snapshot); err == nil {
		tag := fmt.Sprintf(`"%s.%d"`, watched.Epoch, watched.Revision)
		list = append(list, onDisk{everything.path, tag, watched.asOf, all})
	}
	return list
}

// leastEntry is what an entry's JSON has in bytes, at least.
const leastEntry = 200

// The queries that are answered from others' answers.
var (
	everything = question[Snapshot]{
		"list components", "/v1/registry/components", hosts.all,
		func(all Snapshot) Snapshot {
			all.Workers, all.Hives = slices.Clone(all.Workers), slices.Clone(all.Hives)
			all.Queen, all.GUI = copyOf(all.Queen), copyOf(all.GUI)
			return all
		},
	}
	seekQueen = question[*Entry]{
		"find the queen", "/v1/registry/queen", hosts.one,
		func(all Snapshot) *Entry { return copyOf(all.Queen) },
	}
	listHives = question[[]Entry]{
		"list hives", "/v1/registry/hives", hosts.list,
		func(all Snapshot) []Entry { return slices.Clone(all.Hives) },
	}
)

func listWorkers(f Filter) question[[]Entry] {
	return question[[]Entry]{
		"list workers", "/v1/registry/workers?" + f.values().Encode(), hosts.list,
		func(all Snapshot) []Entry {
			return slices.DeleteFunc(slices.Clone(all.Workers), func(e Entry) bool { return !f.Match(e) })
		},
	}
}

func copyOf(e *Entry) *Entry {
	if e == nil {
		return nil
	}
	own := *e
	return &own
}
