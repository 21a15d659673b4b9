package inventory

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// limits are what cgroups leave to a process; 0 is no limit.
type limits struct {
	cores     int
	memory    uint64 // bytes
	available uint64 // of memory
}

// limitsOf reads the limits of a process's cgroup and of all above it. membership is
// its /proc/PID/cgroup, root where cgroup v2 is mounted. Without cgroup v2 there are none.
func limitsOf(membership, root string) limits {
	text, err := os.ReadFile(membership)
	if err != nil {
		return limits{}
	}
	var least limits
	for line := range strings.Lines(string(text)) {
		group, v2 := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !v2 {
			continue
		}
		for group = path.Clean("/" + group); ; group = path.Dir(group) {
			least = least.with(limitsIn(filepath.Join(root, group)))
			if group == "/" {
				return least
			}
		}
	}
	return least
}

// with is the narrower of each.
func (l limits) with(other limits) limits {
	if other.cores > 0 && (l.cores == 0 || other.cores < l.cores) {
		l.cores = other.cores
	}
	if other.memory > 0 {
		if l.memory == 0 {
			return limits{cores: l.cores, memory: other.memory, available: other.available}
		}
		l.memory, l.available = min(l.memory, other.memory), min(l.available, other.available)
	}
	return l
}

func limitsIn(group string) limits {
	var l limits
	if quota, period, ok := strings.Cut(read(group, "cpu.max"), " "); ok {
		q, errQ := strconv.ParseUint(quota, 10, 32)
		p, errP := strconv.ParseUint(period, 10, 32)
		if errQ == nil && errP == nil && p > 0 {
			l.cores = max(1, int((q+p-1)/p))
		}
	}
	limit, err := strconv.ParseUint(read(group, "memory.max"), 10, 64)
	if err != nil { // "max"
		return l
	}
	l.memory, l.available = limit, limit
	if used, err := strconv.ParseUint(read(group, "memory.current"), 10, 64); err == nil {
		used -= min(used, cached(group))
		l.available = limit - min(limit, used)
	}
	return l
}

// cached is what of a group's memory the kernel gives up when asked: files that were
// read, such as models.
func cached(group string) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader([]byte(read(group, "memory.stat")))); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "inactive_file "); ok {
			n, _ := strconv.ParseUint(value, 10, 64)
			return n
		}
	}
	return 0
}

func read(group, file string) string {
	text, err := os.ReadFile(filepath.Join(group, file))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
