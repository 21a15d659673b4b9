package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// Program says how a child is started at a place, and how one knows that it is
// ready. It is asked before each start.
type Program func(ctx context.Context, at Target) (supervisor.Spec, error)

// Health is how a program that has no engine profile shows that it is ready. What
// is set must all pass, in this order; with nothing set, its port must take a
// connection.
type Health struct {
	Log    *regexp.Regexp // a line of its output matches
	Notify bool           // it says READY=1 as to systemd; see supervisor.Notify
	TCP    bool           // its port takes a connection
	HTTP   string         // a GET of this path is answered with 200-399; "/health"
	Exec   []string       // this command ends with exit code 0; {port} stands for the port
}

// Command is any server at all: {port}, {host} and {id} in its arguments are filled
// in, and PORT is in its environment.
func Command(argv []string, health Health) Program {
	return func(_ context.Context, at Target) (supervisor.Spec, error) {
		if len(argv) == 0 || argv[0] == "" {
			return supervisor.Spec{}, errors.New("no program is given")
		}
		env := append(os.Environ(), "PORT="+strconv.Itoa(at.Port), "HOST="+at.Host)
		spec := supervisor.Spec{Argv: at.fill(argv), Env: env, Addr: at.Addr()}
		spec.GPU = os.Getenv("CUDA_VISIBLE_DEVICES") != "" // for want of a better sign
		// A log line or a message can't be repeated later, so the port speaks for life.
		spec.Live = supervisor.TCP(at.Addr())
		if health.Log != nil {
			spec.Ready = append(spec.Ready, supervisor.LogLine(health.Log))
		}
		if health.Notify {
			// Named after the life, so that whoever takes it over can listen there again.
			spec.Ready = append(spec.Ready, supervisor.Notify("rbee/"+at.InstanceID))
		}
		if health.TCP || (health.HTTP == "" && len(health.Exec) == 0 && len(spec.Ready) == 0) {
			spec.Ready = append(spec.Ready, supervisor.TCP(at.Addr()))
		}
		if health.HTTP != "" {
			spec.Live = supervisor.HTTP(at.URL() + "/" + strings.TrimPrefix(health.HTTP, "/"))
			spec.Ready = append(spec.Ready, spec.Live)
		}
		if len(health.Exec) > 0 {
			spec.Live = supervisor.Exec(at.fill(health.Exec), env)
			spec.Ready = append(spec.Ready, spec.Live)
		}
		return spec, nil
	}
}

func (t Target) fill(args []string) []string {
	r := strings.NewReplacer("{port}", strconv.Itoa(t.Port), "{host}", t.Host, "{id}", t.ID)
	filled := make([]string, len(args))
	for i, a := range args {
		filled[i] = r.Replace(a)
	}
	return filled
}

// Own is one of rbee's own programs, which answer GET /health. It is looked for
// beside this program, then in PATH; else this program runs it under that name,
// which its main must then know. It is asked by plain HTTP, so that it does not
// inherit variables by which it would speak TLS; those of what it calls others with, it does.
func Own(name string, args ...string) Program {
	command := Command(append([]string{name}, args...), Health{HTTP: "/health"})
	return func(ctx context.Context, at Target) (supervisor.Spec, error) {
		spec, err := command(ctx, at)
		if err == nil {
			spec.Env = slices.DeleteFunc(spec.Env, func(entry string) bool {
				name, _, _ := strings.Cut(entry, "=")
				return slices.Contains(serversTLS, name)
			})
			spec.Path, err = FindOwn(name)
		}
		return spec, err
	}
}

// serversTLS are the variables by which our servers speak TLS.
var serversTLS = []string{"RBEE_TLS_CERT", "RBEE_TLS_KEY", "RBEE_TLS_CLIENT_CA"}

// FindOwn is the file that Own runs.
func FindOwn(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if beside, err := exec.LookPath(filepath.Join(filepath.Dir(self), name)); err == nil {
		return beside, nil
	}
	if inPath, err := exec.LookPath(name); err == nil {
		return inPath, nil
	}
	return self, nil
}

// builtinWorker is the program of the one engine that is rbee's own.
const builtinWorker = "llm-worker-rbee"

// FindEngine is the engines.Finder that finds rbee's own worker as FindOwn does, and the
// rest on this machine.
func FindEngine(name string) ([]string, error) {
	if name == builtinWorker {
		path, err := FindOwn(name)
		return []string{path}, err
	}
	return engines.Find(name)
}
