package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cgroup is the folder of a cgroup (version 2), or "" where there is none: then
// nothing is populated, and killing and removing do nothing.
type cgroup string

// kill sends SIGKILL to all that is in the cgroup and below. What forks meanwhile is
// killed too: the kernel sees to that.
func (g cgroup) kill() {
	if !g.populated() {
		return
	}
	if f, err := os.OpenFile(g.file("cgroup.kill"), os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString("1") // what it does not reach shows as populated
		_ = f.Close()
	}
}

// freeze stops all that is in the cgroup and below, for a second at most to take effect,
// and whatever they start: what races to be overlooked holds still. SIGKILL ends the
// frozen, too.
func (g cgroup) freeze() {
	if !g.populated() {
		return
	}
	f, err := os.OpenFile(g.file("cgroup.freeze"), os.O_WRONLY, 0)
	if err != nil {
		return // Linux before 5.2
	}
	_, err = f.WriteString("1")
	_ = f.Close()
	for end := time.Now().Add(time.Second); err == nil && g.populated() && !g.says("frozen 1") && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// populated reports whether a process lives in the cgroup or below. Zombies don't count.
func (g cgroup) populated() bool { return g != "" && g.says("populated 1") }

// says looks for a line of the kernel's about the cgroup.
func (g cgroup) says(line string) bool {
	events, err := os.ReadFile(g.file("cgroup.events"))
	return err == nil && bytes.Contains(events, []byte(line))
}

// pids lists who is in the cgroup and below; false where there is none.
func (g cgroup) pids() (pids []int, ok bool) {
	if g == "" {
		return nil, false
	}
	list, err := os.ReadFile(g.file("cgroup.procs"))
	if err != nil {
		return nil, false
	}
	for _, field := range bytes.Fields(list) {
		pid, _ := strconv.Atoi(string(field))
		pids = append(pids, pid)
	}
	var dir syscall.Stat_t
	if syscall.Stat(string(g), &dir) == nil && dir.Nlink <= 2 {
		return pids, true // it has no cgroups below
	}
	below, _ := os.ReadDir(string(g)) // what goes just now has nobody in it
	for _, e := range below {
		if e.IsDir() {
			more, _ := cgroup(g.file(e.Name())).pids()
			pids = append(pids, more...)
		}
	}
	return pids, true
}

// remove removes the cgroup and those that its processes made below, as long as
// they are empty.
func (g cgroup) remove() {
	if g == "" || syscall.Rmdir(string(g)) == nil {
		return
	}
	below, _ := os.ReadDir(string(g))
	for _, e := range below {
		if e.IsDir() {
			cgroup(g.file(e.Name())).remove()
		}
	}
	_ = syscall.Rmdir(string(g)) // one that stays is left to the next guard that ends
}

// home is the cgroup of the guard whose child's g is.
func (g cgroup) home() cgroup {
	if g == "" {
		return ""
	}
	return cgroup(filepath.Dir(string(g)))
}

func (g cgroup) file(name string) string { return filepath.Join(string(g), name) }

// cgroups are those of a guard's children: one each, below one that is named after the
// guard. They are made when the first child is.
type cgroups struct {
	guard identity
	home  cgroup
	tried bool
	off   bool // children do without
}

// cgroupOf names the cgroup of a guard so that it can't be mistaken for another's.
func cgroupOf(guard identity) string {
	return fmt.Sprintf("%s.%d.%d", name, guard.pid, guard.start)
}

// fork starts a child in a cgroup of its own, and without one where that can't be had.
func (all *cgroups) fork(child uint64, path string, args []string, attr *syscall.ProcAttr) (int, cgroup, error) {
	in := all.add(child)
	if in == "" {
		pid, err := syscall.ForkExec(path, args, attr)
		return pid, "", err
	}
	pid, err := forkInto(in, path, args, attr)
	if err == nil {
		return pid, in, nil
	}
	in.remove()
	if !mayBeCgroups(err) {
		return 0, "", err
	}
	// Whether it was the cgroup or the program that failed shows without the cgroup.
	if pid, err = syscall.ForkExec(path, args, attr); err == nil {
		all.off = true
	}
	return pid, "", err
}

// mayBeCgroups reports whether an error is one that the kernel has for a process that
// can't be made in a cgroup, be it too old (EINVAL, E2BIG) or forbidden by a sandbox.
func mayBeCgroups(err error) bool {
	return slices.ContainsFunc([]error{
		syscall.ENOSYS, syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.E2BIG,
		syscall.EBUSY, syscall.ENODEV, syscall.EOPNOTSUPP, fs.ErrNotExist,
	}, func(target error) bool { return errors.Is(err, target) })
}

// add makes the cgroup of one child, and returns "" where that can't be had.
func (all *cgroups) add(child uint64) cgroup {
	if all.off {
		return ""
	}
	if !all.tried {
		all.tried = true
		all.home = makeHome(all.guard)
	}
	if all.home == "" {
		return ""
	}
	g := cgroup(all.home.file(strconv.FormatUint(child, 10)))
	if syscall.Mkdir(string(g), 0o755) != nil {
		return ""
	}
	return g
}

func makeHome(guard identity) cgroup {
	folder, err := cgroupFolder()
	if err != nil {
		return ""
	}
	home, _ := makeCgroup(folder, cgroupOf(guard)) // the children do without
	return home
}

// makeCgroup makes a cgroup that can be killed. One that is there already belongs to a
// process of the same pid and start in another PID namespace.
func makeCgroup(folder, name string) (cgroup, error) {
	g := cgroup(filepath.Join(folder, name))
	if err := os.Mkdir(string(g), 0o755); err != nil {
		return "", err
	}
	if _, err := os.Stat(g.file("cgroup.kill")); err != nil {
		g.remove()
		return "", fmt.Errorf("no cgroup.kill, which came with Linux 5.14: %w", err)
	}
	return g, nil
}

// close removes the guard's cgroup, and the empty ones of guards that were killed.
func (all *cgroups) close() {
	if all.home == "" {
		return
	}
	all.home.remove()
	beside, _ := filepath.Glob(filepath.Join(filepath.Dir(string(all.home)), name+".*")) // the pattern is well-formed
	for _, dir := range beside {
		if guard, ok := guardOf(dir); ok && !guard.process().Alive() {
			cgroup(dir).remove()
		}
	}
}

// guardOf reads the name that cgroupOf gave.
func guardOf(dir string) (guard identity, ok bool) {
	_, err := fmt.Sscanf(filepath.Base(dir), name+".%d.%d", &guard.pid, &guard.start)
	return guard, err == nil && filepath.Base(dir) == cgroupOf(guard)
}

// childIn tells by a process's cgroup which child of the guard it belongs to. That holds
// for zombies and while a program is executed, too.
func childIn(pid int, guard identity) (child uint64, found bool) {
	_, below, found := strings.Cut(cgroupPath(pid), "/"+cgroupOf(guard)+"/")
	if !found {
		return 0, false
	}
	end := strings.IndexFunc(below, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		below = below[:end]
	}
	child, err := strconv.ParseUint(below, 10, 64)
	return child, err == nil
}

// Cgroup is the folder of the cgroup in which a guard that is started now would make one
// for each child. The error says why it could not: then the children have none.
func Cgroup() (string, error) {
	base, err := cgroupFolder()
	if err != nil {
		return "", fmt.Errorf("make a cgroup: %w", err)
	}
	probe, err := makeCgroup(base, cgroupOf(Self().identity()))
	if err != nil && !errors.Is(err, fs.ErrExist) { // another goroutine's
		return "", fmt.Errorf("make a cgroup: %w", err)
	}
	probe.remove()
	return base, nil
}
