package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Exit codes that are not a child's own.
const (
	CodeUsage         = 2
	CodeFailed        = 1   // a command that launches nothing failed
	CodeLaunchFailed  = 125 // no port, never ready, a stack that did not come up
	CodeNotExecutable = 126
	CodeNotFound      = 127
	CodeInterrupted   = 130
)

// App is one command line.
type App struct {
	Name    string
	About   string
	Grammar any               // a pointer to a kong struct
	Vars    kong.Vars         // for the grammar's tags
	Explain func(error) error // adds exit codes and hints to errors that Run returned; may be nil
	Options []kong.Option
}

// Call is what a command's Run gets.
type Call struct {
	// Context ends at the first SIGINT, SIGTERM or SIGHUP; see PassOn.
	Context context.Context
	// Hurry is closed at the second.
	Hurry <-chan struct{}
	// Signal is the first of these, once Context has ended; nil where it was none that
	// ended it.
	Signal func() os.Signal
	Stdout io.Writer
	Stderr io.Writer
	// Parsed is kong's view of the command line.
	Parsed *kong.Context

	signals *signals
}

// Parser is the app's command line as kong knows it. Every flag has an environment
// variable, RBEE_ and its name, but those with the tag env:"-".
func (app App) Parser() (*kong.Kong, error) {
	options := append([]kong.Option{
		kong.Name(app.Name), kong.Description(app.About), kong.UsageOnError(),
		kong.DefaultEnvars("RBEE"), app.Vars, kong.KindMapper(reflect.Int, wholeNumber),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}, app.Options...)
	return kong.New(app.Grammar, options...)
}

// Main parses the arguments, runs what they ask for and returns the exit code.
func Main(app App, args []string) int {
	parser, err := app.Parser()
	if err != nil {
		panic(err) // a defect of the grammar's tags, which any test shows
	}
	parsed, err := parser.Parse(tied(args))
	if err == nil {
		err = checkDurations(parsed)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\nhint: %s\n", app.Name, err, usageHint(app.Name, parsed, err))
		return CodeUsage
	}
	sig := catchSignals()
	defer sig.stop()
	call := &Call{Context: sig.ctx, Hurry: sig.hurry, Signal: sig.signal, Stdout: os.Stdout, Stderr: os.Stderr, Parsed: parsed, signals: sig}
	err = parsed.Run(call)
	if outputFailed(err) {
		if errors.Is(err, syscall.EPIPE) {
			return report(app.Name, nil, sig.interrupted()) // whoever read it has seen enough
		}
		return report(app.Name, WithCode(CodeFailed, err), sig.interrupted())
	}
	if err != nil && app.Explain != nil {
		err = app.Explain(err)
	}
	return report(app.Name, err, sig.interrupted())
}

// checkDurations refuses what no flag of ours can mean.
func checkDurations(parsed *kong.Context) error {
	for _, f := range parsed.Flags() {
		d, ok := f.Target.Interface().(time.Duration)
		if p, optional := f.Target.Interface().(*time.Duration); optional && p != nil {
			d, ok = *p, true
		}
		if ok && d < 0 {
			return fmt.Errorf("--%s: %s is below zero", f.Name, d)
		}
	}
	return nil
}

// outputFailed reports whether err is that of a write to our own output.
func outputFailed(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "write" && (path.Path == os.Stdout.Name() || path.Path == os.Stderr.Name())
}

func usageHint(name string, parsed *kong.Context, err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		parsed = parse.Context
	}
	if parsed != nil {
		if cmd := parsed.Command(); cmd != "" {
			return fmt.Sprintf("'%s %s --help' shows what there is", name, strings.Fields(cmd)[0])
		}
	}
	return fmt.Sprintf("'%s --help' shows what there is", name)
}

// report prints an error for people and chooses the exit code.
func report(name string, err error, interrupted bool) int {
	text, code := Describe(name, err)
	fmt.Fprint(os.Stderr, text)
	if interrupted {
		return CodeInterrupted
	}
	return code
}

// Describe is what Main prints of an error, "" for none, and the exit code that it
// chooses.
func Describe(name string, err error) (text string, code int) {
	var coded *codedError
	switch hasCode := errors.As(err, &coded); {
	case err == nil:
		return "", 0
	case hasCode && coded.error == nil:
		return "", coded.code
	case hasCode:
		code = coded.code
	default:
		code = CodeFailed
	}
	text = fmt.Sprintf("%s: %v\n", name, err)
	var hinted *hintedError
	if errors.As(err, &hinted) {
		text += fmt.Sprintf("hint: %s\n", hinted.hint)
	}
	return text, code
}

// WithHint adds what to do next, which is printed on a line of its own.
func WithHint(err error, format string, args ...any) error {
	return &hintedError{err, fmt.Sprintf(format, args...)}
}

type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

// WithCode gives an error its exit code. With a nil error the code is all: nothing
// is printed.
func WithCode(code int, err error) error { return &codedError{err, code} }

type codedError struct {
	error
	code int
}

func (e *codedError) Error() string {
	if e.error == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.error.Error()
}

func (e *codedError) Unwrap() error { return e.error }

// HasCode reports whether an exit code was given to err already.
func HasCode(err error) bool {
	var coded *codedError
	return errors.As(err, &coded)
}

// HasHint reports whether a hint was given to err already.
func HasHint(err error) bool {
	var hinted *hintedError
	return errors.As(err, &hinted)
}
