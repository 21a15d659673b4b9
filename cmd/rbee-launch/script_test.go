package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rbee-launch/rbee-launch/internal/proctest"
)

// longest is how long a story waits for what is to happen. It is for machines under
// load: what happens ends the wait.
const longest = time.Minute

// scriptCommands are the commands of the stories beyond testscript's own.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"freeport":  withStory((*story).freeport),
	"freerange": withStory((*story).freerange),
	"start":     withStory((*story).start),
	"contain":   withStory((*story).contain),
	"signal":    withStory((*story).signal),
	"ends":      withStory((*story).ends),
	"exits":     withStory((*story).exits),
	"await":     withStory((*story).await),
	"http":      withStory((*story).http),
	"capture":   withStory((*story).capture),
	"scrub":     withStory((*story).scrub),
	"gone":      withStory((*story).gone),
	"connect":   withStory((*story).connect),
	"manager":   withStory((*story).manager),

	"certificates": withStory((*story).certificates),
}

func withStory(do func(*story, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		do(ts.Value(storyKey{}).(*story), ts, neg, args)
	}
}

// freeport sets variables to ports that are free: freeport REGISTRY QUEEN.
func (s *story) freeport(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		ts.Setenv(name, strconv.Itoa(s.take(ts, 1)))
	}
}

// freerange sets a variable to a range of N free ports: freerange RANGE 10.
func (s *story) freerange(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	first := s.take(ts, n)
	ts.Setenv(args[0], fmt.Sprintf("%d-%d", first, first+n-1))
}

// command is a process of the story. It gets the variables of the story's setup;
// others go in with env(1).
func (s *story) command(ts *testscript.TestScript, args []string) *exec.Cmd {
	program := args[0]
	if !strings.Contains(program, "/") { // exec would look in our PATH, not the story's
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
				program = path
				break
			}
		}
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Dir = s.work
	for _, key := range s.keys {
		cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
	}
	return cmd
}

// start starts a process whose output goes to NAME.out and NAME.err: start NAME
// PROGRAM ARGUMENTS.
func (s *story) start(ts *testscript.TestScript, _ bool, args []string) {
	s.begin(ts, args[0], s.command(ts, args[1:]))
}

func (s *story) begin(ts *testscript.TestScript, name string, cmd *exec.Cmd) {
	if s.started[name] != nil {
		ts.Fatalf("%s runs already", name)
	}
	stdout, err := os.Create(filepath.Join(s.work, name+".out"))
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(s.work, name+".err"))
	ts.Check(err)
	defer stderr.Close()
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	ts.Check(p.cmd.Start())
	s.started[name] = p
	go func() {
		_ = p.cmd.Wait() // its exit code is looked at by ends
		close(p.done)
	}()
}

// signal sends a signal to a started process, or to a pid: signal TERM NAME. After STOP
// nothing of it runs any more.
func (s *story) signal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{
		"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL,
		"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "QUIT": syscall.SIGQUIT,
		"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH,
	}
	sig, ok := signals[args[0]]
	if !ok {
		ts.Fatalf("there is no signal %s", args[0])
	}
	pid, err := strconv.Atoi(args[1])
	if err != nil {
		pid = s.running(ts, args[1]).cmd.Process.Pid
	}
	ts.Check(proctest.Signal(pid, sig))
}

func (s *story) running(ts *testscript.TestScript, name string) *process {
	p := s.started[name]
	if p == nil {
		ts.Fatalf("no %s was started", name)
	}
	return p
}

// ends waits until a started process has ended with the exit code, 128+N for signal
// N; its output is then looked at with stdout and stderr: ends NAME CODE.
func (s *story) ends(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	p := s.running(ts, name)
	select {
	case <-p.done:
	case <-time.After(longest):
		ts.Fatalf("%s does not end; it printed:\n%s%s", name, ts.ReadFile(name+".out"), ts.ReadFile(name+".err"))
	}
	delete(s.started, name)
	s.ended(ts, p.cmd, args[1], ts.ReadFile(name+".out"), ts.ReadFile(name+".err"))
}

// exits runs a command that is to end with the exit code: exits CODE PROGRAM ARGUMENTS.
func (s *story) exits(ts *testscript.TestScript, _ bool, args []string) {
	cmd := s.command(ts, args[1:])
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		ts.Check(err)
	}
	s.ended(ts, cmd, args[0], stdout.String(), stderr.String())
}

func (s *story) ended(ts *testscript.TestScript, cmd *exec.Cmd, want, stdout, stderr string) {
	_, _ = io.WriteString(ts.Stdout(), stdout)
	_, _ = io.WriteString(ts.Stderr(), stderr)
	code := cmd.ProcessState.ExitCode()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	if strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, not %s, of: %s\nstdout:\n%s\nstderr:\n%s", code, want, strings.Join(cmd.Args, " "), stdout, stderr)
	}
}

// await does something again and again until what it prints matches; with ! until it
// no longer does: await REGEXP http GET URL, await REGEXP file NAME, await REGEXP
// PROGRAM ARGUMENTS.
func (s *story) await(ts *testscript.TestScript, neg bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	var out []byte
	pause := 10 * time.Millisecond
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); time.Sleep(pause) {
		pause = min(pause*5/4, 200*time.Millisecond) // a start that is asked after too often is slower
		switch args[1] {
		case "http":
			out = ask(ts, args[2:])
		case "file":
			out, err = os.ReadFile(ts.MkAbs(args[2]))
			ts.Check(err)
		default:
			out, _ = s.command(ts, args[1:]).CombinedOutput() // a failure shows in what it prints
		}
		if re.Match(out) != neg {
			_, _ = ts.Stdout().Write(out)
			return
		}
	}
	ts.Fatalf("await %q: it last printed:\n%s", args[0], out)
}

// http prints the answer to one request, its status and type in a line of their own:
// http METHOD URL [BODY | @FILE].
func (s *story) http(ts *testscript.TestScript, _ bool, args []string) {
	_, _ = ts.Stdout().Write(ask(ts, args))
}

func ask(ts *testscript.TestScript, args []string) []byte {
	var body io.Reader
	if len(args) > 2 {
		text := args[2]
		if name, isFile := strings.CutPrefix(text, "@"); isFile {
			text = ts.ReadFile(name)
		}
		body = strings.NewReader(text)
	}
	req, err := http.NewRequest(args[0], args[1], body)
	ts.Check(err)
	req.Close = true // no connection outlives its story
	client := &http.Client{Timeout: 5 * time.Second}
	if req.URL.Scheme == "https" {
		client.Transport = &http.Transport{TLSClientConfig: trusting(ts)}
	}
	resp, err := client.Do(req)
	if err != nil {
		return []byte(err.Error() + "\n")
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		text = append(text, err.Error()...)
	}
	return fmt.Appendf(nil, "%d %s\n%s", resp.StatusCode, resp.Header.Get("Content-Type"), text)
}

// capture sets variables to the groups of a match in what was printed last: capture
// REGEXP PID PORT.
func (s *story) capture(ts *testscript.TestScript, _ bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	out := ts.ReadFile("stdout")
	found := re.FindStringSubmatch(out)
	if len(found) <= len(args)-1 {
		ts.Fatalf("no match for %q in:\n%s", args[0], out)
	}
	for i, name := range args[1:] {
		ts.Setenv(name, found[i+1])
	}
}

// scrubbed is what differs between two runs of the same story.
var scrubbed = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`), "ULID"},
	{regexp.MustCompile(`(pid"?:? ?)[1-9]\d*`), "${1}PID"},
	{regexp.MustCompile(`("took_ms":)\d+`), "${1}MS"},
}

// scrub takes what differs between two runs out of what was printed last, so that it
// can be compared: scrub [TEXT=NAME ...].
func (s *story) scrub(ts *testscript.TestScript, _ bool, args []string) {
	out := ts.ReadFile("stdout")
	for _, x := range scrubbed {
		out = x.re.ReplaceAllString(out, x.as)
	}
	for _, arg := range args {
		text, name, _ := strings.Cut(arg, "=")
		out = strings.ReplaceAll(out, text, name)
	}
	_, _ = io.WriteString(ts.Stdout(), out)
}

// gone waits until processes are no more: gone PID.
func (s *story) gone(ts *testscript.TestScript, _ bool, pids []string) {
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		ts.Check(err)
		deadline := time.Now().Add(longest)
		for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			if time.Now().After(deadline) {
				ts.Fatalf("process %d lives", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// connect is a client that has asked for a page and stays connected to the end of the
// story: connect URL.
func (s *story) connect(ts *testscript.TestScript, _ bool, args []string) {
	target, err := url.Parse(args[0])
	ts.Check(err)
	conn, err := net.Dial("tcp", target.Host)
	ts.Check(err)
	s.conns = append(s.conns, conn)
	ts.Check(conn.SetDeadline(time.Now().Add(longest)))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target.RequestURI(), target.Host)
	ts.Check(err)
	_, err = conn.Read(make([]byte, 1))
	ts.Check(err)
}
