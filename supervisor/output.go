package supervisor

import (
	"regexp"
	"sync"
	"time"
)

const keptLines = 200 // of one life, for errors and log-line probes

// output is what one life printed.
type output struct {
	onLine func(Line)
	more   chan struct{} // a line came

	mu      sync.Mutex
	kept    []string
	signs   int // lines that are signs of life
	probes  echoes
	watched map[*regexp.Regexp]bool // whether one matched
}

func newOutput(onLine func(Line)) *output {
	return &output{onLine: onLine, more: make(chan struct{}, 1), watched: map[*regexp.Regexp]bool{}}
}

// take keeps a line that came, and passes it on.
func (o *output) take(l Line) {
	o.keep(l)
	if o.onLine != nil {
		o.onLine(l)
	}
	select {
	case o.more <- struct{}{}:
	default:
	}
}

// keep remembers a line.
func (o *output) keep(l Line) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.probes.echo(l.Text, time.Now()) {
		o.signs++
	}
	if len(o.kept) == keptLines {
		o.kept = append(o.kept[:0], o.kept[1:]...)
	}
	o.kept = append(o.kept, l.Text)
	for re, seen := range o.watched {
		o.watched[re] = seen || re.MatchString(l.Text)
	}
}

func (o *output) logged(re *regexp.Regexp) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seen, known := o.watched[re]; known {
		return seen
	}
	o.watched[re] = false
	for _, l := range o.kept {
		if re.MatchString(l) {
			o.watched[re] = true
		}
	}
	return o.watched[re]
}

// lifeSigns counts the lines that the child did not print merely because it was probed.
func (o *output) lifeSigns() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.signs
}

// probing and probed are told of each readiness probe.
func (o *output) probing() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probes.begin(time.Now())
}

func (o *output) probed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probes.end(time.Now())
}

// last returns up to n of the newest lines.
func (o *output) last(n int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := max(0, len(o.kept)-n)
	return append([]string(nil), o.kept[from:]...)
}
