package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// stackFlags are those of up and run.
type stackFlags struct {
	engineFlags
	Ports             ports.Range   `help:"The range to take the worker's port from (default: ${default})." default:"${ports}" placeholder:"FIRST-LAST"`
	HeartbeatInterval time.Duration `help:"Between heartbeats to the registry; the queen gets half as many." default:"15s"`
	lifeFlags
	outputFlags
}

// config is a stack with the worker that the flags ask for: the built-in one unless
// a model or an engine is named. What happens to it is shown, with --json as events
// to the writer; the caller closes the show.
func (f stackFlags) config(call *cli.Call, events io.Writer) (stack.Config, *stackShow, error) {
	if f.Model == "" && f.Engine == "" {
		f.Engine = "builtin"
	}
	engine, err := f.choose(nil)
	if err != nil {
		return stack.Config{}, nil, err
	}
	engine.Log = f.logger(call)
	worker, err := f.lifeFlags.config(call, launch.Config{
		Type: f.Type, HeartbeatInterval: f.HeartbeatInterval, SpawnedBy: "rbee-launch",
		Ports: ports.Config{Range: f.Ports},
	})
	if err != nil {
		return stack.Config{}, nil, err
	}
	show := newStackShow(call, f.outputFlags, events)
	return stack.Config{
		Worker: engine.Config(worker), OnEvent: show.event, OnLine: show.line, Log: f.logger(call),
	}, show, nil
}

type upCmd struct {
	RegistryPort int  `help:"The registry's port (default: ${default})." default:"7830" placeholder:"N"`
	QueenPort    int  `help:"The queen's port (default: ${default})." default:"7833" placeholder:"N"`
	GUIPort      int  `name:"gui-port" help:"The web page's port, or another one where that is taken; 0 brings up no page (default: ${default})." default:"5173" placeholder:"N"`
	Open         bool `help:"Open the web page in a browser."`
	stackFlags
}

// Validate is called by kong.
func (c *upCmd) Validate() error {
	return errors.Join(checkPort("--registry-port", c.RegistryPort), checkPort("--queen-port", c.QueenPort), checkPort("--gui-port", c.GUIPort), c.check())
}

// Run brings the stack up and keeps it, unless it is up already.
func (c *upCmd) Run(call *cli.Call) error {
	if isUp, err := c.already(call); isUp || err != nil {
		return err
	}
	cfg, show, err := c.config(call, call.Stdout)
	if err != nil {
		return err
	}
	defer show.close()
	cfg.RegistryPort, cfg.QueenPort = c.RegistryPort, c.QueenPort
	cfg.GUI, cfg.GUIPort = c.GUIPort != 0, c.GUIPort
	service := newService(cfg.Log)
	defer service.close()
	err = stack.Run(call.Context, service.followStack(cfg), func(ctx context.Context, up stack.Up) error {
		if !c.JSON {
			show.print(call.Stdout, c.welcome(up))
		}
		if c.Open && up.GUI.URL != "" {
			if err := browse(ctx, up.GUI.URL); err != nil {
				show.print(call.Stderr, fmt.Sprintf("rbee-launch: no browser was opened: %v\n", err))
			}
		}
		service.up(fmt.Sprintf("up: registry %s, queen %s, worker %s", up.Registry.URL, up.Queen.URL, up.Worker.URL))
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			return cause
		}
		return nil
	})
	if call.Context.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // stopped while it came up
	}
	var part *stack.NotUpError
	if errors.As(err, &part) && errors.Is(err, stack.ErrStopped) {
		if !c.Quiet {
			show.print(call.Stderr, fmt.Sprintf("rbee-launch: %s was stopped, and so all is down\n", part.Part))
		}
		return nil
	}
	return c.lost(call, err)
}

// lost looks again when another up was quicker by a moment.
func (c *upCmd) lost(call *cli.Call, err error) error {
	var taken *ports.TakenError
	var inUse *launch.InUseError
	switch {
	case errors.As(err, &inUse):
	case errors.As(err, &taken) && taken.Holder.Leased:
	default:
		return err // what a stranger holds no other up is about to bring up
	}
	if there := c.partly(call.Context); there != nil {
		err = there
	}
	fmt.Fprintf(call.Stderr, "rbee-launch: %v: waiting for that to be up\n", err)
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for {
		if isUp, _ := c.already(call); isUp {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-limit.C:
		case <-call.Context.Done():
		}
		if there := c.partly(call.Context); there != nil {
			return there
		}
		return err
	}
}

// partly says what of a stack is there at our ports, and what is missing; nil where
// nothing is.
func (c *upCmd) partly(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // asked at the end, too; the clients have limits of their own
	registryURL, queenURL := c.urls()
	hasRegistry, hasQueen := isRegistry(ctx, registryURL), isQueen(ctx, queenURL)
	with := ""
	if registryURL != registry.DefaultURL {
		with = " --registry-url " + registryURL
	}
	queen := fmt.Sprintf("'rbee-launch queen --listen 0.0.0.0:%d%s'", c.QueenPort, with)
	worker := fmt.Sprintf("'rbee-launch worker%s'", with)
	var there error
	var add string
	switch {
	case hasRegistry && hasQueen:
		there = fmt.Errorf("a registry is up at %s and a queen at %s, but no worker", registryURL, queenURL)
		add = worker
	case hasRegistry:
		there = fmt.Errorf("a registry is up at %s, but no queen at %s", registryURL, queenURL)
		add = queen + " and " + worker
	case hasQueen:
		there = fmt.Errorf("a queen is up at %s, but no registry at %s", queenURL, registryURL)
		add = fmt.Sprintf("'rbee-launch registry --listen 0.0.0.0:%d' and %s", c.RegistryPort, worker)
	default:
		return nil
	}
	return cli.WithCode(cli.CodeLaunchFailed, cli.WithHint(there, "%s add what is missing; other ports make another stack, --help says how", add))
}

// urls are where the registry and the queen of our ports are.
func (c *upCmd) urls() (registryURL, queenURL string) {
	return launch.Target{Host: "127.0.0.1", Port: c.RegistryPort}.URL(), launch.Target{Host: "127.0.0.1", Port: c.QueenPort}.URL()
}

// already reports whether a stack is up at our ports, and says where.
func (c *upCmd) already(call *cli.Call) (bool, error) {
	registryURL, queenURL := c.urls()
	if !isRegistry(call.Context, registryURL) || !isQueen(call.Context, queenURL) {
		return false, nil
	}
	client, err := registry.NewClient(registry.Config{URL: registryURL})
	if err != nil {
		return false, err
	}
	defer client.Close()
	workers, err := client.Workers(call.Context, registry.Filter{Status: registry.Online})
	if err != nil || len(workers.Value) == 0 {
		return false, nil // it is not up, then
	}
	if c.Model != "" && !slices.ContainsFunc(workers.Value, c.serves) {
		return true, cli.WithCode(cli.CodeLaunchFailed, cli.WithHint(
			fmt.Errorf("rbee is up already, at %s, and no worker there serves %s", registryURL, c.Model),
			"'rbee-launch worker --model %s' adds one that does", c.Model))
	}
	out := call.Stdout
	if c.JSON {
		out = call.Stderr // stdout is for events, and there are none
	}
	fmt.Fprintf(out, "rbee is up already\n\n")
	rows := []string{
		"registry\t" + registryURL + "\t" + strings.Trim(holder(call.Context, c.RegistryPort), " ()"),
		"queen\t" + queenURL + "\t" + strings.Trim(holder(call.Context, c.QueenPort), " ()"),
	}
	for _, w := range workers.Value {
		rows = append(rows, fmt.Sprintf("worker\thttp://%s:%d\t%s %s", w.Hostname, w.Port, w.ID, w.Model))
	}
	if all, err := client.Components(call.Context); err == nil && all.Value.GUI != nil {
		page := all.Value.GUI
		rows = append(rows, fmt.Sprintf("web page\t%s\t%s", page.URL(), page.ID))
	}
	return true, table(out, "WHAT\tWHERE\tWHO", rows)
}

// serves reports whether a worker that is there has the model that was asked for.
func (c *upCmd) serves(w registry.Entry) bool {
	return w.Model == c.Model || w.Model == strings.TrimSuffix(filepath.Base(c.Model), ".gguf")
}

// welcome says what is there now, and what to type next.
func (c *upCmd) welcome(up stack.Up) string {
	what := ""
	if c.Engine == "" && c.Model == "" || c.Engine == "builtin" {
		what = " (a simulation: it runs no model)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rbee is up, after %s\n\n", up.Took.Round(time.Millisecond))
	rows := []string{
		fmt.Sprintf("registry\t%s\tpid %d", up.Registry.URL, up.Registry.PID),
		fmt.Sprintf("queen\t%s\tpid %d", up.Queen.URL, up.Queen.PID),
		fmt.Sprintf("worker\t%s\tpid %d, %s%s", up.Worker.URL, up.Worker.PID, up.Model, what),
	}
	if up.GUI.URL != "" {
		rows = append(rows, fmt.Sprintf("web page\t%s\tpid %d", up.GUI.URL, up.GUI.PID))
	}
	_ = table(&b, "WHAT\tWHERE\tWHO", rows)
	fmt.Fprintf(&b, `
Ask the worker:
  curl %s/v1/chat/completions -d '{"model":"%s","messages":[{"role":"user","content":"Hello!"}]}'
Ask who is there:
  curl %s/v1/registry/workers
  %s ps

Ctrl-C takes all of it down.
`, up.Worker.URL, up.Model, up.Registry.URL, self())
	return b.String()
}

// stackShow tells what happens to the parts of a stack.
type stackShow struct {
	*show
	stopping bool // said once for all parts
}

func newStackShow(call *cli.Call, out outputFlags, events io.Writer) *stackShow {
	s := &stackShow{show: newShow(call, out, 0)}
	s.stdout = events
	return s
}

func (s *stackShow) event(e launch.Event) {
	if s.out.JSON {
		s.show.event(e)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Event {
	case launch.Progress:
		s.status.progress(e)
	case launch.Leased:
	case launch.Stopping:
		if !s.stopping {
			s.note("stopping (Ctrl-C again: at once)")
		}
		s.stopping = true
	case launch.Spawned:
		s.note("%s: started, pid %d, port %d", e.ID, e.PID, e.Port)
	case launch.Ready:
		s.note("%s: ready at %s", e.ID, e.URL)
	case launch.Registered:
		s.note("%s: registered with the %s", e.ID, e.With)
	default:
		s.rest(e)
	}
}

// commandEnded tells what it took to end the command that the stack was for.
func (s *stackShow) commandEnded(e launch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := trouble(e); text != "" {
		s.note("%s: stopped%s", e.ID, text)
	}
}

// line shows nothing: three children talk at once, and each has its log.
func (s *stackShow) line(string, supervisor.Line) {}
