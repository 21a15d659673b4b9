package main

import (
	"fmt"
	"strings"
	"testing"
)

// stuck is a reader who has stopped to read, until told to go on.
type stuck struct {
	goOn chan struct{}
	got  strings.Builder
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.goOn
	return s.got.Write(b)
}

func TestAReaderWhoIsStuckHoldsNobodyUp(t *testing.T) {
	w := &stuck{goOn: make(chan struct{})}
	p := newPrinter()
	p.print(w, "ready\n")
	for i := range 10 * maxUnread {
		p.printLine(w, fmt.Sprint("line ", i))
	}
	p.print(w, "stopped\n") // never left out
	close(w.goOn)
	p.close()
	<-p.done
	text := w.got.String()
	if lines := strings.Count(text, "line "); lines < maxUnread-1 || lines > 2*maxUnread {
		t.Errorf("%d lines were kept", lines)
	}
	if !strings.HasPrefix(text, "ready\n") || !strings.HasSuffix(text, "stopped\n") {
		t.Error("what must not be lost was")
	}
}

func TestLinesLeftOutAreCounted(t *testing.T) {
	w := &stuck{goOn: make(chan struct{})}
	p := newPrinter()
	p.mu.Lock()
	p.dropped = 7
	p.mu.Unlock()
	close(w.goOn)
	p.printLine(w, "again")
	p.close()
	<-p.done
	if got := w.got.String(); got != "[7 lines are not shown, only logged]\nagain\n" {
		t.Errorf("%q", got)
	}
}
