package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// foreign is a server that nobody here wrote, as rbee-launch exec is to launch it.
type foreign struct {
	program string
	command func(t *testing.T, dir, path string) []string // exec's arguments
	answers func(t *testing.T, w registry.Entry)          // asks it at the registry's address
	procs   []string                                      // what is to be seen below the guard, at least
}

var foreigners = []foreign{
	{
		program: "python3",
		command: func(t *testing.T, dir, path string) []string {
			writeFile(t, filepath.Join(dir, "hello.txt"), "hello")
			return []string{"--health-http", "/", "--", path, "-m", "http.server", "{port}", "--directory", dir}
		},
		answers: func(t *testing.T, w registry.Entry) {
			if body, err := get(t.Context(), "http://"+addr(w)+"/hello.txt"); err != nil || body != "hello" {
				t.Errorf("it answers %q, %v", body, err)
			}
		},
		procs: []string{"python3"},
	},
	{
		program: "redis-server",
		command: func(_ *testing.T, dir, path string) []string {
			return []string{"--health-tcp", "--", path, "--port", "{port}", "--save", "", "--dir", dir}
		},
		answers: func(t *testing.T, w registry.Entry) {
			conn, err := net.Dial("tcp", addr(w))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "PING\r\n")
			if line, err := bufio.NewReader(conn).ReadString('\n'); line != "+PONG\r\n" {
				t.Errorf("it answers PING with %q, %v", line, err)
			}
		},
		procs: []string{"redis-server"},
	},
	{
		program: "nginx", // a master and two workers; knows its port from $PORT, through a shell
		command: func(t *testing.T, dir, path string) []string {
			writeFile(t, filepath.Join(dir, "template"), nginxConf(t, dir))
			writeFile(t, filepath.Join(dir, "hello.txt"), "hello")
			script := `sed "s/@PORT@/$PORT/" template > nginx.conf && exec "$0" -p . -e stderr -c nginx.conf`
			return []string{"--health-http", "/hello.txt", "--", "sh", "-c", "cd '" + dir + "' && " + script, path}
		},
		answers: func(t *testing.T, w registry.Entry) {
			if body, err := get(t.Context(), "http://"+addr(w)+"/hello.txt"); err != nil || body != "hello" {
				t.Errorf("it answers %q, %v", body, err)
			}
		},
		procs: []string{"nginx", "nginx", "nginx"},
	},
}

// nginxConf keeps all that nginx writes in dir. Its workers run as the user at hand:
// root's folders are nobody else's to read.
func nginxConf(t *testing.T, dir string) string {
	t.Helper()
	conf := `daemon off;
worker_processes 2;
pid ` + dir + `/nginx.pid;
events {}
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	server { listen 127.0.0.1:@PORT@; root ` + dir + `; }
}
`
	if os.Geteuid() == 0 {
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		conf = "user " + me.Username + ";\n" + conf
	}
	return conf
}

func TestForeignPrograms(t *testing.T) {
	endings := map[string]func(*testing.T, *registryUnderTest, *launcher){
		"stopped": func(t *testing.T, reg *registryUnderTest, l *launcher) {
			l.stop()
			if left := reg.workers(); len(left) > 0 {
				t.Errorf("the registry still lists %v", left)
			}
		},
		"killed": func(_ *testing.T, _ *registryUnderTest, l *launcher) { l.kill() },
	}
	for _, f := range foreigners {
		for how, end := range endings {
			t.Run(f.program+"/"+how, func(t *testing.T) {
				t.Parallel()
				path := need(t, f.program)
				reg := startRegistry(t, nil)
				id := f.program + "-under-test"
				l := startLauncher(t, "", append([]string{
					"exec", "--id", id, "--port", ownPort(t), "--registry-url", reg.url, "--queen-url", "",
				}, f.command(t, t.TempDir(), path)...)...)

				w := reg.await(l, "")
				if w.ID != id {
					t.Errorf("it is registered as %s", w.ID)
				}
				f.answers(t, w)
				// nginx answers by its first worker, while it still forks the second.
				tree := l.tree()
				for deadline := time.Now().Add(e2eLimit); len(without(f.procs, tree)) > 0; tree = l.tree() {
					if time.Now().After(deadline) {
						t.Errorf("%v are not among %v", without(f.procs, tree), tree)
						break
					}
					time.Sleep(time.Millisecond)
				}
				end(t, reg, l)
				l.nothingLeft(tree, w.Port)
			})
		}
	}
}

// without is the names that no process of the tree bears, each process counted once.
func without(names []string, tree []proc) (missing []string) {
	left := map[string]int{}
	for _, p := range tree {
		left[p.name]++
	}
	for _, name := range names {
		if left[name]--; left[name] < 0 {
			missing = append(missing, name)
		}
	}
	return missing
}

// Ten stacks side by side have ten answers from curl, and no two a port in common.
func TestRunWithCurl(t *testing.T) {
	curl := need(t, "curl")
	for i := range 10 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			cmd := rbeeLaunch(t, "", "run", "--", "sh", "-c", `"$0" -sSf "$OPENAI_BASE_URL/models"`, curl)
			out, err := cmd.Output()
			if err != nil || !strings.Contains(string(out), `"rbee-simulation"`) {
				t.Errorf("it printed %q, %v%s", out, err, stderrOf(err))
			}
		})
	}
}

func stderrOf(err error) string {
	if exit, ok := err.(*exec.ExitError); ok {
		return ": " + string(exit.Stderr)
	}
	return ""
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
