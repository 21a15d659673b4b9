package inventory_test

import (
	"path/filepath"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

func TestLookAtNothing(t *testing.T) {
	inv := open(t, inventory.Config{})
	m := inv.Look(t.Context())
	if m.Cores < 1 || m.MemoryBytes == 0 || m.MemoryAvailableBytes == 0 || m.MemoryAvailableBytes > m.MemoryBytes || m.OS == "" || m.Arch == "" {
		t.Errorf("%+v", m)
	}
	if m.Devices == nil || m.Engines == nil || m.Models == nil || m.ModelDirs == nil {
		t.Errorf("there are nulls in its JSON: %+v", m)
	}
	if len(m.Problems) > 0 {
		t.Errorf("problems: %q", m.Problems)
	}
}

// Limits may be anywhere from the root to the group, and the narrowest counts.
func TestLimits(t *testing.T) {
	for _, test := range []struct {
		name              string
		member            string
		files             map[string]string
		cores             int
		memory, available uint64
	}{
		{"no cgroup v2", "4:memory:/a\n", map[string]string{"a/memory.max": "5"}, 0, 0, 0},
		{"no limits", "0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/b/cpu.max": "max 100000\n"}, 0, 0, 0},
		{"of a container", "0::/\n", map[string]string{"memory.max": "1000\n", "memory.current": "700\n", "memory.stat": "anon 5\ninactive_file 200\nactive_file 9\n"}, 0, 1000, 500},
		{"of a parent", "0::/a/b\n", map[string]string{"a/memory.max": "1000\n", "a/memory.current": "100\n"}, 0, 1000, 900},
		{"of both", "0::/a/b\n", map[string]string{
			"a/memory.max": "1000", "a/memory.current": "950",
			"a/b/memory.max": "500", "a/b/memory.current": "100",
		}, 0, 500, 50},
		{"more is used than may be", "0::/a\n", map[string]string{"a/memory.max": "10", "a/memory.current": "12"}, 0, 10, 0},
		{"time", "1:name=x:/\n0::/a/b\n", map[string]string{"a/cpu.max": "250000 100000\n", "a/b/cpu.max": "400000 100000\n"}, 3, 0, 0},
		{"little time", "0::/a\n", map[string]string{"a/cpu.max": "5000 100000\n"}, 1, 0, 0},
		{"not a path", "0::/../../a\n", map[string]string{"a/memory.max": "10"}, 0, 10, 10},
	} {
		root := t.TempDir()
		for name, text := range test.files {
			write(t, filepath.Join(root, name), []byte(text))
		}
		membership := write(t, filepath.Join(t.TempDir(), "cgroup"), []byte(test.member))
		cores, memory, available := inventory.Limits(membership, root)
		if cores != test.cores || memory != test.memory || available != test.available {
			t.Errorf("%s: %d cores, %d bytes, %d available; want %d, %d, %d", test.name, cores, memory, available, test.cores, test.memory, test.available)
		}
	}
	if cores, memory, _ := inventory.Limits(filepath.Join(t.TempDir(), "missing"), t.TempDir()); cores != 0 || memory != 0 {
		t.Errorf("without cgroups: %d, %d", cores, memory)
	}
}

func TestLimited(t *testing.T) {
	machine := inventory.Machine{Cores: 8, MemoryBytes: 1000, MemoryAvailableBytes: 600}
	if m := inventory.Limited(machine, 2, 500, 400); m.Cores != 2 || m.MemoryBytes != 500 || m.MemoryAvailableBytes != 400 || m.MemoryLimitedBy != "cgroup" {
		t.Errorf("%+v", m)
	}
	if m := inventory.Limited(machine, 2, 900, 800); m.MemoryAvailableBytes != 600 {
		t.Errorf("more is available than the machine has: %+v", m)
	}
	if m := inventory.Limited(machine, 16, 2000, 1900); m.Cores != 8 || m.MemoryBytes != 1000 || m.MemoryLimitedBy != "" {
		t.Errorf("wider than the machine: %+v", m)
	}
}
