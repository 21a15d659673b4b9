package supervisor

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// Config is one supervised child over all its lives. Spec is the one field that
// must be set.
type Config struct {
	// Spec says what to start. It is asked before each start, so that a new life can
	// have a new port or id. Its error ends Run.
	Spec func(ctx context.Context, a Attempt) (Spec, error)
	// Restart says whether and when an ended child is started again; never when zero.
	Restart Restart
	// OnEvent is told what happens, in order, from Run's goroutine. It must return
	// soon: nothing else happens meanwhile, though output is still drained.
	OnEvent func(Event)
	// OnLine is told each line of output, from one goroutine per guard. It must return
	// soon: nothing is heard of the child meanwhile.
	OnLine func(Line)
	// Again, when something is sent on it, stops the child and starts it again at once,
	// whatever the restart policy says. What is sent while a life ends is met by the next.
	Again <-chan struct{}
	// Leave, when closed, ends Run with ErrLeft and leaves the child with its guard, for
	// another process that adopts it within half a minute. Not for a shared Guard.
	Leave <-chan struct{}
	// Adopt is the life that Run begins with, in place of starting one.
	Adopt *Adoption
	// Ending, when closed, says that ctx is about to end: a child that ends meanwhile is
	// not started again, and counts as stopped.
	Ending <-chan struct{}
	// Grace, asked when a stop begins for which a Spec gives so long, may shorten that.
	Grace func(own time.Duration) time.Duration
	// OnPulse is called every PulseEvery (1 s when zero) from Run's goroutine, whatever
	// that waits for, but not while it hangs: in Spec, in OnEvent, or for a guard that
	// does not answer. A watchdog can live on it.
	OnPulse    func()
	PulseEvery time.Duration
	// Hurry, when closed, ends the grace period of a stop at once.
	Hurry <-chan struct{}
	// Signals are passed on to the child while it runs, to it alone; what comes between
	// two lives is dropped. None when nil.
	Signals <-chan os.Signal
	// Guard is shared with other children when set; it stays the caller's to close.
	// Otherwise Run has one of its own.
	Guard *guard.Guard
	// Log is for what can't be returned; discarded when nil.
	Log *slog.Logger
}

// Attempt says for which start a Spec is wanted.
type Attempt struct {
	Life    int          // 1 for the first start; a start that found its port taken is not counted
	Last    error        // why the last attempt ended: a *PortTakenError asks for another port
	Adopted bool         // the child runs already, and the Spec is to be what it was started by
	Guard   *guard.Guard // below which it starts; another one than last time when that was killed
}

// Adoption is a child that another process started and kept.
type Adoption struct {
	Guard *guard.Guard // from guard.Adopt; Run closes it
	Child *guard.Child // below it, and not followed yet
	Life  int          // as in Attempt
	Ready bool         // it was ready: its readiness probes are not asked again
	Began time.Time    // when it was started
}

// Spec is one life of a child.
type Spec struct {
	// Name is what errors call the child; the program's name when empty.
	Name string
	// Argv is the program and its arguments. A program without a slash is looked up
	// in PATH.
	Argv []string
	// Path is the file to run instead of the one that Argv[0] names.
	Path string
	// LogFile gets everything the child prints, rotated; none when empty. Its folder
	// must exist.
	LogFile LogFile
	// Env is the whole environment; this process's own when nil. See ChildEnv for what
	// of it a child does not get.
	Env []string
	// Dir is the working directory; this process's own when empty.
	Dir string
	// Addr is the literal address ("127.0.0.1:8080") the child is to listen on. When
	// it is set, only an answer from there by the child's own tree counts as ready.
	Addr string
	// AnyOwner lets the listener on Addr be anybody's: for a child that has another
	// program (a container engine) listen for it.
	AnyOwner bool
	// Ready are the readiness probes. They are passed one after the other; without
	// any, a child is ready once it runs.
	Ready []Probe
	// Live is asked while the child is ready; none when its Check is nil, or its
	// Period negative.
	Live Probe
	// Stall fails a start that showed no sign of life for so long: no line of output
	// but those that each probe brings, no CPU, memory or I/O to speak of, no "loading"
	// answer. 2 min when zero, off when negative.
	Stall time.Duration
	// StartLimit fails a start that takes longer, whatever it shows. Off when zero or
	// negative.
	StartLimit time.Duration
	// InUse recognises, in the last lines of a child that gave up, that its address
	// was taken. A usual set of phrases when nil.
	InUse *regexp.Regexp
	// StopSignal asks the child to end, and SecondSignal insists; see Ladder. SIGTERM
	// and SIGINT when zero.
	StopSignal, SecondSignal syscall.Signal
	// Grace is the time between StopSignal and SIGKILL; 10 s when zero, none when
	// negative.
	Grace time.Duration
	// GPU says that the child may have memory on NVIDIA's GPUs, those that
	// CUDA_VISIBLE_DEVICES in Env names. Where there are some, its next start and the end
	// of a stop wait until the driver has taken that back, 5 s at most.
	GPU bool
	// Keep leaves the child running when this process dies; see guard.Command.
	Keep bool
}

// WithDefaults fills in what was left out.
func (s Spec) WithDefaults() Spec {
	if s.Name == "" && len(s.Argv) > 0 {
		s.Name = s.Argv[0]
	}
	if s.Path == "" && len(s.Argv) > 0 {
		s.Path = s.Argv[0]
	}
	if s.Stall == 0 {
		s.Stall = 2 * time.Minute
	}
	if s.InUse == nil {
		s.InUse = inUse
	}
	if s.StopSignal == 0 {
		s.StopSignal = syscall.SIGTERM
	}
	if s.Grace == 0 {
		s.Grace = 10 * time.Second
	}
	return s
}

// inUse holds how C, Go, Python, Node and Rust programs say EADDRINUSE.
var inUse = regexp.MustCompile(`(?i)address (is )?already in use|EADDRINUSE|address in use|errno 98\b|port \d+ is (already )?(in use|taken|occupied)`)

// LogFile is where a child's output is kept.
type LogFile = guard.LogFile
