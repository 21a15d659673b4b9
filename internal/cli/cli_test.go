package cli_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// failCmd ends as its flags say.
type failCmd struct {
	Text      string
	Hint      string
	Code      int `short:"c"`
	Port      cli.Port
	Wait      time.Duration
	Interrupt bool `help:"Be interrupted first."`
}

func (c failCmd) Run(call *cli.Call) error {
	if c.Interrupt {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			return err
		}
		<-call.Context.Done()
	}
	var err error
	if c.Text != "" {
		err = errors.New(c.Text)
	}
	if c.Hint != "" {
		err = fmt.Errorf("wrapped: %w", cli.WithHint(err, "try %s", c.Hint))
	}
	if c.Code != 0 {
		err = cli.WithCode(c.Code, err)
	}
	return err
}

func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		args   string
		code   int
		stderr string
	}{
		{"fail", 0, ""},
		{"fail --text=no", cli.CodeFailed, "program: no\n"},
		{"fail --text=no --code=125", cli.CodeLaunchFailed, "program: no\n"},
		{"fail --text=no --hint=this --code=2", cli.CodeUsage, "program: wrapped: no\nhint: try this\n"},
		{"fail --code=42", 42, ""}, // a child's own code: it has said why itself
		{"fail --interrupt", cli.CodeInterrupted, ""},
		{"fail --interrupt --code=137", cli.CodeInterrupted, ""},
		{"fail --interrupt --text=no --code=125", cli.CodeInterrupted, "program: no\n"},
		{"fail --nonsense", cli.CodeUsage, "program: unknown flag --nonsense\nhint: 'program fail --help' shows what there is\n"},
		{"nonsense", cli.CodeUsage, "program: unexpected argument nonsense\nhint: 'program --help' shows what there is\n"},
		{"fail --wait=-1s", cli.CodeUsage, "program: --wait: -1s is below zero\nhint: 'program fail --help' shows what there is\n"},
		{"fail --wait -1s", cli.CodeUsage, "program: --wait: -1s is below zero\nhint: 'program fail --help' shows what there is\n"},
		{"fail --code x", cli.CodeUsage, "program: --code: \"x\" is no whole number\nhint: 'program fail --help' shows what there is\n"},
		{"fail -c -3", 256 - 3, ""}, // a number, and no flag
		{"fail --port -1", cli.CodeUsage, "program: --port: \"-1\" is no port: ports go from 1 to 65535\nhint: 'program fail --help' shows what there is\n"},
		{"fail --port 0", cli.CodeUsage, "program: --port: \"0\" is no port: ports go from 1 to 65535\nhint: 'program fail --help' shows what there is\n"},
		{"fail --port x", cli.CodeUsage, "program: --port: \"x\" is no port: ports go from 1 to 65535\nhint: 'program fail --help' shows what there is\n"},
		{"fail --port 65536", cli.CodeUsage, "program: --port: \"65536\" is no port: ports go from 1 to 65535\nhint: 'program fail --help' shows what there is\n"},
		{"fail --port=", 0, ""},
	} {
		t.Run(test.args, func(t *testing.T) {
			cmd := command(test.args)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			_ = cmd.Run() // its exit code is looked at
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, not %d", code, test.code)
			}
			if stderr.String() != test.stderr {
				t.Errorf("it says %q, not %q", stderr.String(), test.stderr)
			}
		})
	}
}

func TestHasCode(t *testing.T) {
	err := errors.New("no")
	if cli.HasCode(err) {
		t.Error("a plain error has a code")
	}
	if !cli.HasCode(fmt.Errorf("wrapped: %w", cli.WithCode(3, err))) {
		t.Error("a wrapped code is lost")
	}
	if !errors.Is(cli.WithCode(3, cli.WithHint(err, "hint")), err) {
		t.Error("the cause is lost")
	}
}
