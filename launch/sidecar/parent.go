package sidecar

import (
	"encoding/json"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/DeRuina/timberjack"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
	"github.com/rbee-launch/rbee-launch/launch"
)

const (
	maxUntold   = 1000        // messages that wait for the parent
	maxProgress = 10          // of which so many before progress is left out
	lastWords   = time.Second // how long a parent that takes nothing is waited for at the end
)

// parent is a sidecar's line to whoever started it, which goes when it has seen enough.
// One that was stopped (Ctrl-Z) holds up nothing.
type parent struct {
	queue chan Message  // nil where nobody listens
	told  chan struct{} // closed when all of it is told
	dir   string

	mu     sync.Mutex
	log    *timberjack.Logger // for what is to be told when the parent is gone
	closed bool               // it is told nothing more
}

func newParent(r Role, logDir string) *parent {
	p := &parent{dir: logDir, told: make(chan struct{})}
	p.openLog(r.Adopt) // known before there is an event, should that be all there is
	if r.Waited {
		close(p.told)
		return p
	}
	p.queue = make(chan Message, maxUntold)
	syscall.CloseOnExec(parentFD)
	go p.run(os.NewFile(parentFD, "parent"))
	return p
}

// run tells what is queued until the parent has gone its way.
func (p *parent) run(f *os.File) {
	defer close(p.told)
	enc := json.NewEncoder(f)
	for m := range p.queue {
		if enc.Encode(m) != nil {
			break
		}
	}
	_ = f.Close()
	for range p.queue { // nobody listens any more
	}
}

func (p *parent) tell(m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.queue == nil {
		return
	}
	if m.Event != nil && m.Event.Event == launch.Progress && len(p.queue) >= maxProgress {
		return
	}
	p.closed = m.End != nil // the log goes on in its file alone
	select {
	case p.queue <- m:
	default: // it has not read for a long time
	}
}

// event passes an event on; the first says which file goes on with the log.
func (p *parent) event(e launch.Event) {
	p.tell(Message{Event: &e})
	p.openLog(e.ID)
}

func (p *parent) openLog(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log == nil && id != "" && p.dir != "" {
		p.log = &timberjack.Logger{
			Filename: logfile.LauncherPath(p.dir, id),
			MaxSize:  1, MaxBackups: 1, FileMode: 0o600, // MB
		}
	}
}

// Write takes what the sidecar logs: to the parent while there is one, to a file of its
// own afterwards.
func (p *parent) Write(text []byte) (int, error) {
	p.tell(Message{Log: string(text)})
	p.mu.Lock()
	log := p.log
	p.mu.Unlock()
	if log != nil {
		return log.Write(text)
	}
	return len(text), nil
}

// close tells the rest. A parent that takes nothing is given up after a second: the
// goroutine that hangs in the write ends with the process.
func (p *parent) close() {
	p.mu.Lock()
	p.closed = true
	if p.queue != nil {
		close(p.queue)
	}
	if p.log != nil {
		_ = p.log.Close()
	}
	p.mu.Unlock()
	limit := time.NewTimer(lastWords)
	defer limit.Stop()
	select {
	case <-p.told:
	case <-limit.C:
	}
}
