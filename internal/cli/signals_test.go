package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

const programEnv = "CLI_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if args, set := os.LookupEnv(programEnv); set {
		os.Exit(cli.Main(cli.App{Name: "program", Grammar: &program{}}, strings.Fields(args)))
	}
	os.Exit(m.Run())
}

type program struct {
	Serve serveCmd `cmd:""`
	Print printCmd `cmd:""`
	Fail  failCmd  `cmd:""`
}

// serveCmd is a server whose client hangs up, again and again, before it is answered;
// then comes Ctrl-C.
type serveCmd struct{}

func (serveCmd) Run(call *cli.Call) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer ln.Close()
	for range 100 {
		if err := answerNobody(ln); !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("not the error that comes with SIGPIPE: %w", err)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		return err
	}
	<-call.Context.Done()
	return nil
}

// answerNobody writes to a client that has hung up until that is noticed.
func answerNobody(ln net.Listener) error {
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := client.Close(); err != nil {
		return err
	}
	for {
		if _, err := conn.Write([]byte("answer")); err != nil {
			return err
		}
	}
}

// printCmd prints until it is told to stop.
type printCmd struct{}

func (printCmd) Run(call *cli.Call) error {
	for call.Context.Err() == nil {
		fmt.Fprintln(call.Stdout, "line")
	}
	fmt.Fprintln(call.Stderr, "cleaned up")
	return nil
}

func command(args string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programEnv+"="+args)
	return cmd
}

// A client that hangs up must not end a server, which a SIGPIPE taken for a stop
// would; the exit code tells which signal was the first to count.
func TestClientHangsUp(t *testing.T) {
	out, err := command("serve").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != cli.CodeInterrupted {
		t.Errorf("%v, want the exit code of Ctrl-C: %s", err, out)
	}
}

func TestReaderGone(t *testing.T) {
	cmd := command("print")
	var said strings.Builder
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "line\n" {
		t.Errorf("it prints %q, %v", line, err)
	}
	if err := stdout.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), "cleaned up") {
		t.Errorf("it ends with %v and says %q", err, said.String())
	}
}
