package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNoCgroups means that the machine or the container has no cgroup v2 for this process.
var errNoCgroups = errors.New("no cgroup v2 is mounted that this process is in")

// cgroupFolder is the folder of the cgroup that this process is in.
func cgroupFolder() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for _, dir := range cgroupFolders(string(mounts), cgroupPath(os.Getpid())) {
		var fs unix.Statfs_t
		if unix.Statfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", errNoCgroups
}

// cgroupFolders lists where a cgroup could be found: below each mount of version 2 that
// shows it. mounts is /proc/self/mountinfo (see proc_pid_mountinfo(5)); both may be
// those of a container, where a mount shows a part of the hierarchy.
func cgroupFolders(mounts, path string) []string {
	var dirs []string
	for line := range strings.Lines(mounts) {
		where, what, _ := strings.Cut(line, " - ")
		f := strings.Fields(where)
		if len(f) < 5 || !strings.HasPrefix(what, "cgroup2 ") {
			continue
		}
		root, at := unescape(f[3]), unescape(f[4])
		if below, err := filepath.Rel(root, path); err == nil && isInside(root) && isInside(path) && isInside(below) {
			dirs = append(dirs, filepath.Join(at, below))
		}
	}
	return dirs
}

// isInside is false for a path that leads out of the cgroup namespace.
func isInside(path string) bool {
	return path != "" && !slices.Contains(strings.Split(path, "/"), "..")
}

// unescape undoes what mountinfo does to spaces, tabs, newlines and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// cgroupPath is the cgroup of a process as the kernel gives it, "" when it is none.
func cgroupPath(pid int) string {
	body, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(body)) {
		if path, found := strings.CutPrefix(line, "0::"); found {
			return strings.TrimSuffix(path, "\n")
		}
	}
	return ""
}

// forkInto starts a program in a cgroup. The kernel puts it there as it is made, so that
// nothing it starts can be elsewhere.
func forkInto(in cgroup, path string, args []string, attr *syscall.ProcAttr) (int, error) {
	fd, err := unix.Open(string(in), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open the cgroup: %w", err)
	}
	defer unix.Close(fd)
	sys := *attr.Sys
	sys.UseCgroupFD, sys.CgroupFD = true, fd
	into := *attr
	into.Sys = &sys
	return syscall.ForkExec(path, args, &into)
}
