package server

import "sync"

// journal holds the last changes, for those who follow them. Nobody who follows has a
// queue of its own: each remembers how far it has got, and who has fallen so far behind
// that the changes are gone has to begin anew. However slow they are, and however many,
// they cost no memory.
type journal struct {
	maxBytes int

	mu     sync.Mutex
	kept   []*change // a ring: revision r is at r % len
	oldest uint64    // kept
	newest uint64    // 0: there was no change yet
	bytes  int
	grown  chan struct{}
}

func newJournal(keep, maxBytes int) *journal {
	return &journal{maxBytes: maxBytes, kept: make([]*change, keep), oldest: 1}
}

// append takes changes whose revisions follow on the newest.
func (j *journal) append(changes []*change) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range changes {
		if j.newest-j.oldest+1 == uint64(len(j.kept)) {
			j.forget()
		}
		j.newest = c.revision
		*j.at(j.newest) = c
		for j.bytes += c.size(); j.bytes > j.maxBytes && j.oldest < j.newest; {
			j.forget()
		}
	}
	if j.grown != nil {
		close(j.grown)
		j.grown = nil
	}
}

func (j *journal) at(revision uint64) **change { return &j.kept[revision%uint64(len(j.kept))] }

func (j *journal) forget() {
	j.bytes -= (*j.at(j.oldest)).size()
	*j.at(j.oldest) = nil
	j.oldest++
}

// lot is how many bytes of changes are followed at once, so that one who takes his time
// over them holds little that is not kept here any more.
const lot = 256 << 10

// after gives changes that follow on a revision, as many as into has room for, of a lot
// together: none when there is nothing newer, and then grown is closed when there is. It is
// not ok when the first of them is not kept any more.
func (j *journal) after(revision uint64, into []*change) (found []*change, grown <-chan struct{}, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if revision >= j.newest {
		if j.grown == nil {
			j.grown = make(chan struct{})
		}
		return nil, j.grown, true
	}
	if revision+1 < j.oldest {
		return nil, nil, false
	}
	found = into[:0]
	size := 0
	for next := revision + 1; next <= j.newest && len(found) < cap(into) && size < lot; next++ {
		c := *j.at(next)
		found, size = append(found, c), size+c.size()
	}
	return found, nil, true
}
