package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/ports"
)

// machine is one of several on a network that leads nowhere else: a process with network,
// processes, mounts and a name of its own, and all that is started there. It ends with
// this process, in whatever way that does, and takes all of that along.
type machine struct {
	t    *testing.T
	name string
	addr string
	dir  string
	init *exec.Cmd
	env  []string // what its users have in their environment besides

	daemons []*exec.Cmd
}

const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS

// tryOut is what has to be allowed where machines are to be had.
const tryOut = `mount --make-rprivate / && mount -t proc proc /proc &&
	ip link add veth1 type veth peer name veth2 && ip link add br0 type bridge`

// bootUp is a machine's first process: it reaps orphans, and ends when its standard input
// does. The leases of ports are the machine's own.
const bootUp = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount --bind "$1" ` + ports.DefaultDir + `
echo "$2" >/proc/sys/kernel/hostname
ip link set lo up
echo up
read -r _`

// newNetwork makes machines of these names, at 10.83.0.1, .2 and so on, and the switch
// that they are plugged into. No address of this machine's is in their way, since they
// have none of its interfaces.
func newNetwork(t *testing.T, names ...string) (lan *machine, machines []*machine) {
	t.Helper()
	try := exec.Command("bash", "-c", tryOut)
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if out, err := try.CombinedOutput(); err != nil {
		t.Skipf("this machine can't make others (it takes root, bash and iproute2): %v %s", err, out)
	}
	lease, err := ports.Acquire(t.Context(), ports.Config{}) // makes the folder that each gets its own in place of
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	lan = boot(t, "switch")
	lan.ip("link", "add", "br0", "type", "bridge")
	lan.ip("link", "set", "br0", "up")
	for i, name := range names {
		m := boot(t, name)
		m.addr = fmt.Sprint("10.83.0.", i+1)
		lan.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(m.init.Process.Pid))
		lan.ip("link", "set", name, "master", "br0", "up")
		m.plugIn()
		machines = append(machines, m)
	}
	return lan, machines
}

func boot(t *testing.T, name string) *machine {
	t.Helper()
	m := &machine{t: t, name: name, dir: t.TempDir()}
	leases := filepath.Join(m.dir, "leases")
	err := os.Mkdir(leases, 0o700) // and nobody else's, unlike the usual one
	if err != nil {
		t.Fatal(err)
	}
	m.init = exec.Command("bash", "-c", bootUp, "init", leases, name)
	m.init.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	m.init.Stderr = os.Stderr
	if _, err := m.init.StdinPipe(); err != nil { // which the kernel closes when we end
		t.Fatal(err)
	}
	out, err := m.init.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.init.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.powerOff)
	if up, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%s does not come up: %s%v", name, up, err)
	}
	return m
}

// powerOff ends whatever runs on the machine, since that is what the kernel does to a
// first process that dies; its network goes with the last of them.
func (m *machine) powerOff() {
	_ = m.init.Process.Kill() // it has not ended before
	_ = m.init.Wait()
	for _, d := range m.daemons {
		_ = d.Wait() // killed, as it should be
	}
	if !m.t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(m.dir, "*.log"))
	for _, log := range logs {
		text, err := os.ReadFile(log)
		m.t.Logf("%s, %s: %s %v", m.name, filepath.Base(log), text, err)
	}
}

// ip configures the machine's network.
func (m *machine) ip(args ...string) {
	m.t.Helper()
	args = append([]string{"--target", strconv.Itoa(m.init.Process.Pid), "--net", "ip"}, args...)
	if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
		m.t.Fatalf("%s: %v: %v %s", m.name, args, err, out)
	}
}

// plugIn gives the machine its address.
func (m *machine) plugIn() {
	m.t.Helper()
	m.ip("address", "add", m.addr+"/24", "dev", "eth0")
	m.ip("link", "set", "eth0", "up")
}

// command is a program of ours, as a user of the machine's would type it who has the
// registry's address in the environment.
func (m *machine) command(registryURL, program string, args ...string) *exec.Cmd {
	m.t.Helper()
	args = append([]string{
		"--target", strconv.Itoa(m.init.Process.Pid), "--net", "--uts", "--mount", "--pid", mustLook(m.t, program),
	}, args...)
	cmd := exec.Command("nsenter", args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "RBEE_REGISTRY_URL="+registryURL)
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "RBEE_RUNTIME_DIR", "RBEE_STATE_DIR"} {
		cmd.Env = append(cmd.Env, name+"="+m.folder(name))
	}
	cmd.Env = append(cmd.Env, m.env...)
	return cmd
}

// folder is what an environment variable names there.
func (m *machine) folder(name string) string { return filepath.Join(m.dir, strings.ToLower(name)) }

// start starts a daemon, which runs until the machine is off.
func (m *machine) start(registryURL, program string, args ...string) {
	m.t.Helper()
	log, err := os.Create(filepath.Join(m.dir, program+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	cmd := m.command(registryURL, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.daemons = append(m.daemons, cmd)
}

// client asks from the machine, whatever thread it is called on, and keeps no connection.
func (m *machine) client() *http.Client {
	return &http.Client{Timeout: e2eLimit, Transport: &http.Transport{DisableKeepAlives: true, DialContext: m.dial}}
}

// dial opens a connection from the machine. A socket stays in the network that it was made
// in; the thread that went there to make it ends with its goroutine, since that leaves it
// locked.
func (m *machine) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	dialled := make(chan struct{})
	go func() {
		defer close(dialled)
		runtime.LockOSThread()
		var ns *os.File
		if ns, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", m.init.Process.Pid)); err != nil {
			return
		}
		defer ns.Close()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
	}()
	<-dialled
	return conn, err
}

// processes are the command lines of what runs on the machine.
func (m *machine) processes() (running []string) {
	m.t.Helper()
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", m.init.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, proc := range all {
		line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if ns, linkErr := os.Readlink(filepath.Join(proc, "ns", "pid")); err == nil && linkErr == nil && ns == own {
			running = append(running, strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " "))
		}
	}
	return running
}
