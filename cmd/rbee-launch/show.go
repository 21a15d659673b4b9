package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// lateRegistration is how long the line that says "ready" waits for registrations:
// what comes later is told when it comes.
const lateRegistration = 300 * time.Millisecond

// show tells people, or with --json programs, what happens to one launch.
type show struct {
	out    outputFlags
	stdout io.Writer
	stderr io.Writer
	status *status // nil where nothing is redrawn
	await  int     // registrations that the ready line waits for
	*printer
	detached  bool          // what is said of a ready child is the id, for programs
	saidReady chan struct{} // closed when that was said
	where     string        // of a child on another machine, whose own URL leads nowhere from here

	mu     sync.Mutex
	ready  launch.Event // the life that is ready, once the line about it is due
	with   []string
	timer  *time.Timer
	said   bool // the ready line of this life is out
	closed bool
}

func newShow(call *cli.Call, out outputFlags, await int) *show {
	s := &show{out: out, stdout: call.Stdout, stderr: call.Stderr, await: await, printer: newPrinter(), saidReady: make(chan struct{})}
	if !out.JSON && !out.Quiet {
		s.status = newStatus(call.Stderr, s.printer)
	}
	return s
}

// event shows one event.
func (s *show) event(e launch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out.JSON {
		s.eventJSON(e)
		return
	}
	switch e.Event {
	case launch.Progress:
		s.status.progress(e)
	case launch.Leased:
		s.status.draw(e.ID + ": starting")
	case launch.Spawned:
		s.ready, s.with, s.said = launch.Event{}, nil, false
		s.note("%s: started, pid %d, port %d", e.ID, e.PID, e.Port)
	case launch.Adopted:
		s.ready, s.with, s.said = launch.Event{}, nil, false
		s.note("%s: adopted, pid %d, port %d", e.ID, e.PID, e.Port)
	case launch.Ready:
		s.isReady(e)
	case launch.Registered:
		s.with = append(s.with, e.With)
		switch {
		case s.said:
			s.note("%s: registered with the %s", e.ID, e.With)
		case len(s.with) >= s.await:
			s.sayReady()
		}
	default:
		s.rest(e)
	}
}

// eventJSON prints an event for programs, and keeps count of what makes one ready.
func (s *show) eventJSON(e launch.Event) {
	if e.Event == launch.Progress {
		return
	}
	s.printJSON(e)
	switch e.Event {
	case launch.Ready:
		s.isReady(e)
	case launch.Registered:
		if s.with = append(s.with, e.With); !s.said && len(s.with) >= s.await {
			s.sayReady()
		}
	}
}

// isReady has the ready line said, when the child is registered or a moment later.
func (s *show) isReady(e launch.Event) {
	s.ready = e
	if s.timer = time.AfterFunc(lateRegistration, s.readyLate); s.await == 0 {
		s.sayReady()
	}
}

// rest shows the events of a life that was ready.
func (s *show) rest(e launch.Event) {
	switch e.Event {
	case launch.Unhealthy:
		s.note("%s: unhealthy: %s; its heartbeats pause", e.ID, e.Error)
	case launch.Healthy:
		s.note("%s: healthy again", e.ID)
	case launch.Exited:
		s.sayReadyFirst()
		if e.Error != "" {
			s.note("%s%s", e.Error, trouble(e)) // it begins with the id
		} else {
			s.note("%s: ended with exit code %d%s", e.ID, *e.ExitCode, trouble(e))
		}
	case launch.Restarting:
		s.note("%s: starts again in %s", e.ID, time.Duration(e.WaitMS)*time.Millisecond)
	case launch.Stopping:
		s.sayReadyFirst()
		s.note("%s: stopping (Ctrl-C again: at once)", e.ID)
	case launch.Settling:
		s.note("%s: waiting for %d MB of GPU memory to be free again", e.ID, e.LeftMB)
	case launch.Stopped:
		s.note("%s: stopped%s", e.ID, trouble(e))
	case launch.Failed:
		s.stopTimer()
		s.status.clear()
	}
}

// attached shows an event, or a line of output, of a launch that is ready already.
func (s *show) attached(e launch.Event) {
	switch {
	case e.Event == launch.Output:
		s.line(supervisor.Line{Time: e.Time, Stderr: e.Stream == "stderr", Text: e.Text})
	case e.Event == launch.Stopping && !s.out.JSON:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.note("%s: stopping", e.ID) // which Ctrl-C does not hurry here
	default:
		s.event(e)
	}
}

// trouble goes on with what an end took, where that is worth a word.
func trouble(e launch.Event) string {
	if text := e.Trouble(); text != "" {
		return "; " + plain(text)
	}
	return ""
}

// note prints a line about the launch, for people.
func (s *show) note(format string, args ...any) {
	if s.out.Quiet {
		return
	}
	s.status.clear()
	s.print(s.stderr, fmt.Sprintf("rbee-launch: "+format+"\n", args...))
}

func (s *show) readyLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.said && !s.closed && s.ready.ID != "" {
		s.sayReady()
	}
}

// sayReadyFirst prints the line that still waits for registrations: what comes next
// ends the life that it is about.
func (s *show) sayReadyFirst() {
	if s.ready.ID != "" && !s.said {
		s.sayReady()
	}
	s.stopTimer()
}

// sayReady prints the one line that the launch is about.
func (s *show) sayReady() {
	s.said = true
	s.stopTimer()
	defer s.tellReady()
	if s.out.JSON {
		return // every event was printed
	}
	s.status.clear()
	where := "registered nowhere yet"
	switch {
	case len(s.with) > 0:
		where = "registered with " + strings.Join(s.with, " and ")
	case s.await == 0:
		where = "ready"
	}
	line := fmt.Sprintf("%s %s pid %d, %s", s.ready.ID, cmp.Or(s.where, s.ready.URL), s.ready.PID, where)
	if s.detached {
		s.note("%s", line)
		line = s.ready.ID
	}
	s.print(s.stdout, line+"\n")
}

// tellReady closes saidReady, which a later life finds closed.
func (s *show) tellReady() {
	select {
	case <-s.saidReady:
	default:
		close(s.saidReady)
	}
}

func (s *show) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
	}
}

// line shows a line of the child's output once it is ready; until then the last one
// stands in the progress, and all of them are in its log.
func (s *show) line(l supervisor.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.out.Quiet:
	case s.out.JSON, s.said && l.Stderr:
		s.printLine(s.stderr, l.Text)
	case s.said:
		s.printLine(s.stdout, l.Text)
	}
}

func (s *show) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.stopTimer()
	s.status.clear()
	s.printer.close()
}

func (s *show) printJSON(e launch.Event) {
	line, err := json.Marshal(e)
	if err != nil {
		line = []byte(`{"event":"failed","error":"an event can't be written as JSON"}`) // a defect of its type
	}
	s.print(s.stdout, string(line)+"\n")
}

const (
	between    = " · " // the parts of a progress line
	leastShown = 24    // characters of a part that are worth showing
)

// progressLine is what a start shows of itself, in n characters. What a probe was answered
// and the last line of output come in the order of what they tell, and each that has no
// room is shortened in itself.
func progressLine(e launch.Event, n int) string {
	parts := []string{fmt.Sprintf("%s: starting, %.1f s", e.ID, e.Seen.Elapsed.Seconds())}
	switch {
	case e.Seen.RSS > 0 && e.ModelBytes > 0:
		parts = append(parts, fmt.Sprintf("%d MB, the model has %d", e.Seen.RSS>>20, e.ModelBytes>>20))
	case e.Seen.RSS > 0:
		parts = append(parts, fmt.Sprintf("%d MB", e.Seen.RSS>>20))
	}
	if e.Seen.Status != "" {
		parts = append(parts, e.Seen.Status)
	}
	line := plain(strings.Join(parts, between)) // what a child prints may hold anything
	more := []string{plain(e.Seen.LastLine), plain(e.Seen.Waiting)}
	if e.Seen.Answered {
		slices.Reverse(more)
	}
	for i, text := range more {
		room := n - utf8.RuneCountInString(line+between)
		if text == "" || room < leastShown && i > 0 {
			continue
		}
		line += between + shorten(text, max(room, 1))
	}
	return shorten(line, n)
}

// status is one line at the bottom of a terminal that is drawn again and again.
// Methods of a nil status do nothing.
type status struct {
	w     io.Writer
	to    *printer
	fd    int
	drawn bool
	dim   string
}

// newStatus is nil where w is no terminal that can take a line back.
func newStatus(w io.Writer, to *printer) *status {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	s := &status{w: w, to: to, fd: int(f.Fd())}
	if os.Getenv("NO_COLOR") == "" {
		s.dim = "\x1b[2m"
	}
	return s
}

// progress draws how a start goes.
func (s *status) progress(e launch.Event) {
	if s != nil {
		s.draw(progressLine(e, s.room()))
	}
}

// room is how many characters fit in the line.
func (s *status) room() int {
	width, _, err := term.GetSize(s.fd)
	if err != nil || width < 20 {
		width = 80
	}
	return width - 1
}

func (s *status) draw(text string) {
	if s == nil {
		return
	}
	// What a child prints may hold anything: only what is plain reaches the terminal.
	line := shorten(plain(text), s.room())
	bright := ""
	if s.dim != "" {
		bright = "\x1b[0m"
	}
	s.to.print(s.w, "\r\x1b[K"+s.dim+line+bright)
	s.drawn = true
}

func (s *status) clear() {
	if s != nil && s.drawn {
		s.to.print(s.w, "\r\x1b[K")
		s.drawn = false
	}
}

// shorten leaves the middle out of a text that is longer than n characters: how far a
// start has come stands at the end of most lines of a log.
func shorten(text string, n int) string {
	line := []rune(text)
	if len(line) <= n {
		return text
	}
	head := n / 2
	return string(line[:head]) + "…" + string(line[len(line)-(n-head-1):])
}

// plainLines is plain for each of several lines.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	return strings.Join(lines, "\n")
}

// row is one of a table's, for print: what others have named drives no terminal.
func row(cells ...string) string {
	for i, cell := range cells {
		cells[i] = plain(cell)
	}
	return strings.Join(cells, "\t")
}

// plain takes escape sequences and control characters out.
func plain(text string) string {
	var b strings.Builder
	escaped := false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			// A CSI sequence ends with a letter; so, near enough, do the others.
			escaped = !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
		case unicode.IsPrint(r): // neither C1 controls nor what turns the direction of text
			b.WriteRune(r)
		}
	}
	return b.String()
}
