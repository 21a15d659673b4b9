package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// guards asks the kernel for each of what it may give.
func (s System) guards() System {
	s.Subreaper = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	var signal int32
	s.DeathSignal = unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&signal)), 0, 0, 0)
	s.Pidfd = tryPidfd()
	s.Cgroup.Dir, s.Cgroup.Err = guard.Cgroup()
	s.First = first()
	return s
}

func tryPidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// cgroupDir finds the folder of the cgroup that this process is in, of version 2, or of
// version 1 with a controller; "" where it can't be seen.
func cgroupDir(controller, fstype string) string {
	path, found := ownCgroup(controller)
	if !found {
		return ""
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(mounts)) {
		where, what, _ := strings.Cut(line, " - ")
		w, f := strings.Fields(where), strings.Fields(what)
		if len(w) < 5 || len(f) < 3 || f[0] != fstype || !slices.Contains(strings.Split(f[2], ","), controller) && controller != "" {
			continue
		}
		if below, err := filepath.Rel(w[3], path); err == nil && !strings.HasPrefix(below, "..") {
			return filepath.Join(w[4], below)
		}
	}
	return ""
}

// ownCgroup reads a line of /proc/self/cgroup: "4:pids:/path", "0::/path".
func ownCgroup(controller string) (path string, found bool) {
	body, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(body)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && slices.Contains(strings.Split(f[1], ","), controller) {
			return f[2], true
		}
	}
	return "", false
}

// first looks at PID 1 and its children.
func first() First {
	var p First
	name, err := os.ReadFile("/proc/1/comm")
	if err != nil {
		return p
	}
	p.Name = strings.TrimSpace(string(name))
	eachProcess(func(s stat) {
		if s.parent == 1 && s.zombie {
			p.Zombies++
		}
	})
	return p
}

// quotas are those on processes that hold for this user here.
func quotas() []Quota {
	var all, mine uint64
	eachProcess(func(s stat) {
		all += s.threads
		if s.mine {
			mine += s.threads
		}
	})
	var found []Quota
	var ulimit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &ulimit); err == nil && ulimit.Cur != unix.RLIM_INFINITY && os.Geteuid() != 0 {
		found = append(found, Quota{"ulimit -u", ulimit.Cur, mine, "ulimit -u, LimitNPROC= in a unit, or 'docker run --ulimit nproc=...' raises it"})
	}
	if limit, err := readNumber("/proc/sys/kernel/pid_max"); err == nil {
		found = append(found, Quota{"kernel.pid_max", limit, all, "sysctl kernel.pid_max raises it"})
	}
	return append(found, pidsCgroups()...)
}

// pidsCgroups are the limits of the cgroups that this process is in.
func pidsCgroups() []Quota {
	dir := cgroupDir("pids", "cgroup")
	if dir == "" {
		dir = cgroupDir("", "cgroup2")
	}
	var found []Quota
	for dir != "" && dir != "/" {
		limit, err := readNumber(filepath.Join(dir, "pids.max"))
		if err == nil {
			if used, err := readNumber(filepath.Join(dir, "pids.current")); err == nil {
				found = append(found, Quota{filepath.Join(dir, "pids.max"), limit, used, "TasksMax= in a unit, or 'docker run --pids-limit', raises it"})
			}
		} else if errors.Is(err, fs.ErrNotExist) && len(found) > 0 {
			break // above the mount
		}
		dir = filepath.Dir(dir)
	}
	return found
}

// readNumber reads a file that holds one; "max" is an error.
func readNumber(path string) (uint64, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(body)), 10, 64)
}

// stat is what of a process is counted.
type stat struct {
	parent  int
	zombie  bool
	threads uint64
	mine    bool
}

func eachProcess(do func(stat)) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		body, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended
		}
		// See proc_pid_stat(5); the name in parentheses may hold anything.
		f := strings.Fields(string(body[strings.LastIndexByte(string(body), ')')+1:]))
		if len(f) < 18 {
			continue
		}
		s := stat{zombie: f[0] == "Z"}
		s.parent, _ = strconv.Atoi(f[1])
		s.threads, _ = strconv.ParseUint(f[17], 10, 64)
		if info, err := os.Stat(dir); err == nil {
			if owner, ok := info.Sys().(*syscall.Stat_t); ok {
				s.mine = int(owner.Uid) == os.Getuid()
			}
		}
		do(s)
	}
}
