package server

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/rbee-launch/rbee-launch/registry"
)

// view is everything at one revision. It does not change, but for when its components
// were last seen, which is no matter of revisions.
type view struct {
	revision uint64
	all      *btree.BTreeG[*record] // not written to any more

	mu   sync.Mutex // readers of this view alone wait for each other, not for writers
	docs map[string]*document
}

// of lists the components of one kind by id.
func (v *view) of(kind registry.Kind) []*record { return slices.Collect(v.from(kind, "")) }

// from goes through the components of one kind, by id from this one on; through all of
// them, by kind, when kind is "".
func (v *view) from(kind registry.Kind, id string) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		v.all.Ascend(&record{Entry: registry.Entry{Component: registry.Component{Kind: kind, ID: id}}}, func(r *record) bool {
			return (kind == "" || r.Kind == kind) && yield(r)
		})
	}
}

// pick lists what f chooses; more is true when its limit left some out.
func (v *view) pick(f filter) (list []*record, more bool) {
	for r := range v.from(f.kind, f.after) {
		if !f.match(r) || (f.after != "" && r.ID == f.after) {
			continue
		}
		if f.limit > 0 && len(list) == f.limit {
			return list, true
		}
		list = append(list, r)
	}
	return list, false
}

// document is an answer that is encoded once, for all who ask for it.
type document struct {
	made  moment
	once  sync.Once
	body  []byte
	media string // application/json when empty
	last  string // the id of the last component when there are more than were asked for, else ""

	zip  sync.Once
	gzip []byte
}

const (
	// documentAge is how long an encoding serves: while no revision passes, components are
	// seen again, and a list says when.
	documentAge = time.Second
	// maxDocuments bounds what one view keeps: filters come in any number.
	maxDocuments = 64
)

// document gives the encoding of that name, made by encode unless there is one.
func (v *view) document(name string, now moment, encode func(*document)) *document {
	d := v.claim(name, now)
	d.once.Do(func() { encode(d) })
	return d
}

func (v *view) claim(name string, now moment) *document {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := v.docs[name]
	if d != nil && now-d.made < documentAge {
		return d
	}
	d = &document{made: now}
	if v.docs == nil {
		v.docs = map[string]*document{}
	}
	if len(v.docs) >= maxDocuments {
		clear(v.docs)
	}
	v.docs[name] = d
	return d
}

// list is the JSON array of what f chooses.
func (v *view) list(f filter, c clock) *document {
	return v.document("list "+f.key(), c.now(), func(d *document) {
		list, more := v.pick(f)
		if more {
			d.last = list[len(list)-1].ID
		}
		d.body = append(appendArray(make([]byte, 0, sizeOf(list)), list, c.born()), '\n')
	})
}

// snapshot is the JSON of everything that f chooses: registry.Snapshot.
func (v *view) snapshot(epoch string, f filter, c clock) *document {
	return v.document("all "+f.key(), c.now(), func(d *document) {
		list, _ := v.pick(f)
		d.body = append(appendSnapshot(make([]byte, 0, sizeOf(list)), epoch, v.revision, list, c.born()), '\n')
	})
}

// reset is the snapshot as the answer to a poll.
func (v *view) reset(epoch string, f filter, c clock) *document {
	return v.document("reset "+f.key(), c.now(), func(d *document) {
		list, _ := v.pick(f)
		text := fmt.Appendf(make([]byte, 0, sizeOf(list)), `{"epoch":%q,"revision":%d,"reset":`, epoch, v.revision)
		d.body = append(appendSnapshot(text, epoch, v.revision, list, c.born()), "}\n"...)
	})
}

func sizeOf(list []*record) int {
	size := 512
	for _, r := range list {
		size += len(r.head) + 40
	}
	return size
}

func appendArray(text []byte, list []*record, born time.Time) []byte {
	text = append(text, '[')
	for i, r := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = r.appendJSON(text, born)
	}
	return append(text, ']')
}

// appendSnapshot writes a registry.Snapshot. Of several GUIs, which users may open, it
// shows the one that came last: the design has one place.
func appendSnapshot(text []byte, epoch string, revision uint64, list []*record, born time.Time) []byte {
	var of struct {
		hives, workers []*record
		queen, gui     *record
	}
	for _, r := range list {
		switch r.Kind {
		case registry.Hive:
			of.hives = append(of.hives, r)
		case registry.Worker:
			of.workers = append(of.workers, r)
		case registry.Queen:
			of.queen = r
		case registry.GUI:
			if of.gui == nil || r.RegisteredAt.After(of.gui.RegisteredAt) {
				of.gui = r
			}
		}
	}
	text = append(append(append(text, `{"epoch":"`...), epoch...), `","revision":`...)
	text = append(strconv.AppendUint(text, revision, 10), `,"hives":`...)
	text = append(appendArray(text, of.hives, born), `,"workers":`...)
	text = append(appendArray(text, of.workers, born), `,"queen":`...)
	text = append(appendOne(text, of.queen, born), `,"gui":`...)
	return append(appendOne(text, of.gui, born), '}')
}

func appendOne(text []byte, r *record, born time.Time) []byte {
	if r == nil {
		return append(text, "null"...)
	}
	return r.appendJSON(text, born)
}

// zipped is the body in gzip's form.
func (d *document) zipped() []byte {
	d.zip.Do(func() {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a level that there is
		_, _ = w.Write(d.body)                          // a Buffer takes everything
		_ = w.Close()
		d.gzip = b.Bytes()
	})
	return d.gzip
}
