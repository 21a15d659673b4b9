package doctor_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/doctor"
	"github.com/rbee-launch/rbee-launch/ports"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// healthy are the facts of a machine on which all is well.
func healthy() doctor.Facts {
	const mega = 1 << 20
	mine := doctor.Folder{Exists: true, Mode: fs.ModeDir | 0o700, Mine: true, Free: 1000 * mega, FreeFiles: 1e6, Counted: true}
	at := func(path string, mode fs.FileMode) doctor.Folder {
		f := mine
		f.Path, f.Mode = path, mode
		return f
	}
	return doctor.Facts{
		System: doctor.System{
			OS: "linux", Kernel: "6.18", Arch: "amd64",
			Cgroup: doctor.Cgroup{Dir: "/sys/fs/cgroup/x"}, First: doctor.First{Name: "systemd", Zombies: 1},
		},
		Network: doctor.Network{
			Range:    ports.Range{First: 8080, Last: 8200},
			Registry: doctor.Service{Name: "registry", URL: "http://127.0.0.1:7830", Port: 7830, Local: true, Is: true, Open: true},
			Queen:    doctor.Service{Name: "queen"},
		},
		Clock: doctor.Clock{Now: noon, Built: noon.Add(-time.Hour), Registry: noon.Add(time.Second)},
		Limits: doctor.Limits{OpenFiles: 65536, Processes: []doctor.Quota{
			{Name: "ulimit -u", Limit: 10000, Used: 100}, {Name: "kernel.pid_max", Limit: 32768, Used: 500},
		}},
		Folders: doctor.Folders{
			Runtime: at("/run/user/1000/rbee", fs.ModeDir|0o700),
			State:   at("/home/me/.local/state/rbee", fs.ModeDir|0o755),
			Leases:  at("/tmp/rbee-ports", fs.ModeDir|fs.ModeSticky|0o777),
		},
		Engines: doctor.Engines{Installed: []string{"llama-server", "ollama"}},
	}
}

func TestHealthy(t *testing.T) {
	for _, f := range doctor.Examine(healthy()) {
		if f.Status != doctor.OK || f.Fix != "" || f.Message == "" {
			t.Errorf("%+v", f)
		}
	}
}

// TestExamine changes one fact at a time.
func TestExamine(t *testing.T) {
	failed := errors.New("operation not permitted")
	readOnly := fmt.Errorf("write to /tmp: %w", syscall.EROFS)
	for name, test := range map[string]struct {
		change func(*doctor.Facts)
		check  string
		status doctor.Status
		says   string
		fix    string
	}{
		"macOS": {func(f *doctor.Facts) { f.System.OS = "darwin" }, "platform", doctor.Warn, "process groups are the one guard", "container"},
		"no subreaper": {
			func(f *doctor.Facts) { f.System.Subreaper = failed },
			"subreaper", doctor.Warn, "lost once its parent has died: operation not permitted", "",
		},
		"no death signal": {func(f *doctor.Facts) { f.System.DeathSignal = failed }, "pdeathsig", doctor.Warn, "outlive a guard", ""},
		"no pidfd":        {func(f *doctor.Facts) { f.System.Pidfd = failed }, "pidfd", doctor.Warn, "start times alone", "seccomp"},
		"no cgroup":       {func(f *doctor.Facts) { f.System.Cgroup.Err = failed }, "cgroup", doctor.Warn, "process by process", "Delegate=yes"},
		"zombies":         {func(f *doctor.Facts) { f.System.First.Zombies = 345 }, "pid 1", doctor.Warn, "systemd has not reaped 345", "--init"},
		"PID 1 unknown":   {func(f *doctor.Facts) { f.System.First.Name = "" }, "pid 1", doctor.OK, "not ours to look at", ""},

		"ports taken": {
			func(f *doctor.Facts) { f.Network.Taken = taken(8080, 8081, 8082, 8083, 8084, 8085) },
			"ports", doctor.OK, "115 of the 121 in 8080-8200 are free; taken: 8080 x (pid 1), 8081 x (pid 1), 8082 x (pid 1), 8083 x (pid 1), and 2 more", "",
		},
		"few ports": {
			func(f *doctor.Facts) { f.Network.Range.Last, f.Network.Taken = 8082, taken(8080, 8081) },
			"ports", doctor.Warn, "1 of the 3", "--ports",
		},
		"small range": {func(f *doctor.Facts) { f.Network.Range.Last = 8081 }, "ports", doctor.OK, "2 of the 2", ""},
		"no port": {
			func(f *doctor.Facts) { f.Network.Range.Last, f.Network.Taken = 8081, taken(8080, 8081) },
			"ports", doctor.Bad, "0 of the 2", "--ports",
		},
		"ports unknown": {func(f *doctor.Facts) { f.Network.Err = failed }, "ports", doctor.Bad, "not permitted", "port leases"},

		"no registry is wanted": {func(f *doctor.Facts) { f.Network.Registry.URL = "" }, "registry", doctor.OK, "none is wanted", ""},
		"no registry": {
			func(f *doctor.Facts) { f.Network.Registry.Is, f.Network.Registry.Open = false, false },
			"registry", doctor.Warn, "nobody listens", "rbee-launch up",
		},
		"a stranger": {
			func(f *doctor.Facts) {
				f.Network.Registry.Is, f.Network.Registry.Holder, f.Network.Registry.Err = false, "nginx (pid 42)", failed
			},
			"registry", doctor.Bad, "nginx (pid 42) has the port of http://127.0.0.1:7830 and is no registry: operation not permitted", "--listen",
		},
		"a CA of its own": {
			func(f *doctor.Facts) {
				f.Network.Registry.Is, f.Network.Registry.Holder = false, "rbee-registry (pid 42)"
				f.Network.Registry.Err = fmt.Errorf("no answer: %w", x509.UnknownAuthorityError{})
			},
			"registry", doctor.Bad, "the certificate at http://127.0.0.1:7830 is signed by a CA that is not known here", "--tls-ca",
		},
		"an unknown stranger": {
			func(f *doctor.Facts) { f.Network.Registry.Is, f.Network.Registry.Err = false, failed },
			"registry", doctor.Bad, "is no registry, or does not talk to us: operation not permitted", "--token-file",
		},
		"no answer from elsewhere": {
			func(f *doctor.Facts) {
				f.Network.Queen = doctor.Service{Name: "queen", URL: "http://box2:7833", Err: failed}
			},
			"queen", doctor.Bad, "http://box2:7833 can't be reached: operation not permitted", "--queen-url",
		},

		"clock before the build": {func(f *doctor.Facts) { f.Clock.Built = noon.Add(72 * time.Hour) }, "clock", doctor.Bad, "built 2026-11-26", "set-ntp"},
		"zone of the build":      {func(f *doctor.Facts) { f.Clock.Built = noon.Add(12 * time.Hour) }, "clock", doctor.OK, "", ""},
		"no clock to compare":    {func(f *doctor.Facts) { f.Clock.Registry = time.Time{} }, "clock", doctor.OK, "it says 2026-11-23T12:00:00Z", ""},
		"clock ahead":            {func(f *doctor.Facts) { f.Clock.Registry = noon.Add(-time.Minute) }, "clock", doctor.Warn, "1m0s ahead of the registry's", "set-ntp"},
		"clock wrong":            {func(f *doctor.Facts) { f.Clock.Registry = noon.Add(time.Hour) }, "clock", doctor.Bad, "1h0m0s behind the registry's", "set-ntp"},

		"few files":         {func(f *doctor.Facts) { f.Limits.OpenFiles = 1024 }, "open files", doctor.Warn, "may have 1024", "LimitNOFILE"},
		"hardly any file":   {func(f *doctor.Facts) { f.Limits.OpenFiles = 64 }, "open files", doctor.Bad, "may have 64", "LimitNOFILE"},
		"files unknown":     {func(f *doctor.Facts) { f.Limits.OpenFiles = 0 }, "open files", doctor.OK, "no limit is known", ""},
		"few processes":     {func(f *doctor.Facts) { f.Limits.Processes[1].Used = 32500 }, "processes", doctor.Warn, "268 more processes and threads (kernel.pid_max: 32500 of 32768)", ""},
		"no process":        {func(f *doctor.Facts) { f.Limits.Processes[0].Used = 10001 }, "processes", doctor.Bad, "there may be 0 more", ""},
		"processes unknown": {func(f *doctor.Facts) { f.Limits.Processes = nil }, "processes", doctor.OK, "no limit is known", ""},

		"runtime folder missing":    {func(f *doctor.Facts) { f.Folders.Runtime.Exists = false }, "runtime folder", doctor.OK, "the first launch makes it", ""},
		"runtime folder a file":     {func(f *doctor.Facts) { f.Folders.Runtime.Mode = 0o600 }, "runtime folder", doctor.Bad, "is no folder", "RBEE_RUNTIME_DIR"},
		"runtime folder another's":  {func(f *doctor.Facts) { f.Folders.Runtime.Mine = false }, "runtime folder", doctor.Bad, "another user's", "RBEE_RUNTIME_DIR"},
		"runtime folder open":       {func(f *doctor.Facts) { f.Folders.Runtime.Mode |= 0o020 }, "runtime folder", doctor.Bad, "mode 0720", "chmod 700 /run/user/1000/rbee"},
		"runtime folder read-only":  {func(f *doctor.Facts) { f.Folders.Runtime.Write = failed }, "runtime folder", doctor.Bad, "not permitted", "RBEE_RUNTIME_DIR"},
		"runtime folder full":       {func(f *doctor.Facts) { f.Folders.Runtime.Free = 1 << 20 }, "runtime folder", doctor.Bad, "1 MB left", "make room"},
		"runtime folder nearly":     {func(f *doctor.Facts) { f.Folders.Runtime.Free = 100 << 20 }, "runtime folder", doctor.Warn, "100 MB left", "make room"},
		"state folder read-only":    {func(f *doctor.Facts) { f.Folders.State.Write = failed }, "state folder", doctor.Bad, "no output of a child is kept", "RBEE_STATE_DIR"},
		"state folder a file":       {func(f *doctor.Facts) { f.Folders.State.Mode = 0 }, "state folder", doctor.Bad, "is no folder", "RBEE_STATE_DIR"},
		"state folder out of files": {func(f *doctor.Facts) { f.Folders.State.FreeFiles = 12 }, "state folder", doctor.Bad, "12 more files", "make room"},
		"state folder few files":    {func(f *doctor.Facts) { f.Folders.State.FreeFiles = 500 }, "state folder", doctor.Warn, "500 more files", "make room"},
		"state folder uncounted":    {func(f *doctor.Facts) { f.Folders.State.FreeFiles, f.Folders.State.Counted = 0, false }, "state folder", doctor.OK, "", ""},

		"leases a link":     {func(f *doctor.Facts) { f.Folders.Leases.Mode = fs.ModeSymlink | 0o777 }, "port leases", doctor.Bad, "is no folder", "remove"},
		"leases not sticky": {func(f *doctor.Facts) { f.Folders.Leases.Mode = fs.ModeDir | 0o777 }, "port leases", doctor.Bad, "mode 0777", "chmod 1777"},
		"leases for one":    {func(f *doctor.Facts) { f.Folders.Leases.Mode = fs.ModeDir | 0o755 }, "port leases", doctor.Warn, "other users", "chmod 1777"},
		"leases read-only":  {func(f *doctor.Facts) { f.Folders.Leases.Write = failed }, "port leases", doctor.Bad, "not permitted", "chmod 1777"},
		"leases on a read-only disk": {
			func(f *doctor.Facts) { f.Folders.Leases.Write = readOnly },
			"port leases", doctor.Bad, "read-only file system", "have it mounted writable",
		},
		"leases can't be on a read-only disk": {
			func(f *doctor.Facts) { f.Folders.Leases.Exists, f.Folders.Leases.Write = false, readOnly },
			"port leases", doctor.Bad, "read-only file system", "have it mounted writable",
		},
		"state on a read-only disk": {
			func(f *doctor.Facts) { f.Folders.State.Write = readOnly },
			"state folder", doctor.Bad, "read-only file system", "have it mounted writable, or RBEE_STATE_DIR",
		},
		"leases missing":        {func(f *doctor.Facts) { f.Folders.Leases.Exists = false }, "port leases", doctor.OK, "first launch makes it", ""},
		"leases can't be":       {func(f *doctor.Facts) { f.Folders.Leases.Exists, f.Folders.Leases.Write = false, failed }, "port leases", doctor.Bad, "not permitted", "mode 1777"},
		"leases on a full disk": {func(f *doctor.Facts) { f.Folders.Leases.Free = 0 }, "port leases", doctor.Bad, "0 MB left", "make room"},

		"long path": {func(f *doctor.Facts) { f.Folders.Runtime.Path = "/" + strings.Repeat("x", 80) }, "socket paths", doctor.Warn, "gets by", "RBEE_RUNTIME_DIR"},
		"long path on macOS": {
			func(f *doctor.Facts) { f.System.OS, f.Folders.Runtime.Path = "darwin", "/"+strings.Repeat("x", 80) },
			"socket paths", doctor.Bad, "take no commands", "RBEE_RUNTIME_DIR",
		},

		"no engine":    {func(f *doctor.Facts) { f.Engines.Installed = nil }, "engines", doctor.Warn, "simulation", "rbee-launch engines"},
		"engines.yaml": {func(f *doctor.Facts) { f.Engines.Err = failed }, "engines", doctor.Bad, "not permitted", "correct the file"},
		"leftovers": {
			func(f *doctor.Facts) { f.Leftovers.Found = []doctor.Leftover{{"web: dead", "rbee-launch x"}} },
			"leftovers", doctor.Warn, "web: dead", "rbee-launch x",
		},
		"leftovers unknown": {func(f *doctor.Facts) { f.Leftovers.Err = failed }, "leftovers", doctor.Bad, "not permitted", "runtime folder"},
	} {
		t.Run(name, func(t *testing.T) {
			facts := healthy()
			test.change(&facts)
			for _, f := range doctor.Examine(facts) {
				switch {
				case f.Check != test.check:
					if f.Status == doctor.Bad {
						t.Errorf("this is another matter: %+v", f)
					}
				case f.Status != test.status || !strings.Contains(f.Message, test.says):
					t.Errorf("got %+v, want %s: %q", f, test.status, test.says)
				case !strings.Contains(f.Fix, test.fix), f.Status == doctor.OK && f.Fix != "":
					t.Errorf("what to do is %q, want %q", f.Fix, test.fix)
				}
			}
		})
	}
}

func taken(all ...int) []ports.Holder {
	var holders []ports.Holder
	for _, port := range all {
		holders = append(holders, ports.Holder{Port: port, Listening: true, Listener: ports.Process{PID: 1, Program: "x"}})
	}
	return holders
}

// What can be known of the machine that runs the test is gathered, and nothing is left
// of the looking.
func TestGather(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := doctor.Gather(t.Context(), doctor.Config{
		Ports:      ports.Config{Range: ports.Range{First: 18000, Last: 18001}},
		RuntimeDir: filepath.Join(dir, "not", "there"), StateDir: filepath.Join(file, "state"),
	})
	if r := f.Folders.Runtime; r.Exists || r.Write != nil || r.Free == 0 {
		t.Errorf("a folder that could be made: %+v", r)
	}
	if s := f.Folders.State; s.Write == nil {
		t.Errorf("a folder that could not be made: %+v", s)
	}
	if f.System.Kernel == "" || f.Limits.OpenFiles == 0 || f.Clock.Now.IsZero() || f.Clock.Built.IsZero() || f.Network.Err != nil {
		t.Errorf("unknown is one of: %+v", f)
	}
	if runtime.GOOS == "linux" && (len(f.Limits.Processes) == 0 || f.System.First.Name == "") {
		t.Errorf("unknown is one of: %+v, %+v", f.Limits, f.System)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
