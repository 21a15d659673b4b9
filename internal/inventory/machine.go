package inventory

import (
	"os"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/mem"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/gpu"
)

// Machine is what there is for models. Bytes are bytes.
type Machine struct {
	Hostname string `json:"hostname"`
	OS       string `json:"os"`   // GOOS
	Arch     string `json:"arch"` // GOARCH

	// Cores are those that this process may use: by its affinity, and where a cgroup v2
	// gives it less time than that, by its quota, rounded up.
	Cores int `json:"cores"`

	// MemoryBytes is the machine's memory, or what a cgroup v2 gives this process where
	// that is less; MemoryAvailableBytes is what of it could be had without swapping.
	MemoryBytes          uint64 `json:"memory_bytes"`
	MemoryAvailableBytes uint64 `json:"memory_available_bytes"`
	MemoryLimitedBy      string `json:"memory_limited_by,omitempty"` // "cgroup", or nothing but the machine

	Devices   []gpu.Device        `json:"devices"` // NVIDIA's, as far as CUDA_VISIBLE_DEVICES goes
	Engines   []engines.Installed `json:"engines"` // in order of preference; without those that are not installed
	Models    []Model             `json:"models"`  // by folder and path
	ModelDirs []Folder            `json:"model_dirs"`
	ModelsAt  time.Time           `json:"models_at,omitzero"` // when the folders were looked at; zero before the first look has ended

	Problems []string `json:"problems,omitempty"` // what could not be looked at, for people
}

// Folder is one of Config.ModelDirs.
type Folder struct {
	Path   string `json:"path"` // absolute
	Exists bool   `json:"exists"`
	Models int    `json:"models"`          // in it, those that can't be used included
	Error  string `json:"error,omitempty"` // why it could not be read, or not as a whole
}

// machine is what is known at once.
func machine() Machine {
	m := Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	m.Hostname, _ = os.Hostname()
	if v, err := mem.VirtualMemory(); err != nil {
		m.Problems = append(m.Problems, "the memory is not known: "+err.Error())
	} else {
		m.MemoryBytes, m.MemoryAvailableBytes = v.Total, v.Available
	}
	m.limit(limitsOf("/proc/self/cgroup", "/sys/fs/cgroup"))
	return m
}

func (m *Machine) limit(l limits) {
	if l.cores > 0 {
		m.Cores = min(m.Cores, l.cores)
	}
	if l.memory > 0 && (l.memory < m.MemoryBytes || m.MemoryBytes == 0) {
		m.MemoryBytes, m.MemoryLimitedBy = l.memory, "cgroup"
		m.MemoryAvailableBytes = min(m.MemoryAvailableBytes, l.available)
	}
}
