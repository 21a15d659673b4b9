package engines

import (
	"fmt"
	"regexp"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Profile describes one engine. profiles.yaml explains the fields.
type Profile struct {
	Name         string
	Types        []string
	Explicit     bool
	Programs     []Program
	Args         []Arg
	Env          map[string]string
	Scrub        []string
	PortFlags    []string `yaml:"port_flags"`
	Model        ModelRule
	Ready        Probe
	Live         Probe
	Loading      string     `yaml:"load"` // "" or "ollama"; see Load
	Questions    []Question `yaml:"capabilities"`
	Metrics      string
	GPU          bool // it uses NVIDIA GPUs where there are some
	Stop         Stop
	AddressInUse *regexp.Regexp `yaml:"address_in_use"` // nil: the usual phrases
	Install      string
}

// Program is one way in which an engine may be installed.
type Program struct {
	Run  string
	File string
	Args []string
}

// ModelRule is what an engine takes as its model.
type ModelRule struct {
	Needed bool
	Kinds  []Kind
	Hint   string
}

// Probe is a question by HTTP whose answer tells readiness or liveness. Zero
// durations and counts leave the choice to whoever asks.
type Probe struct {
	Path     string // below the engine's base URL; "" asks nothing
	Status   int    // of a pass; 200 when the profile says nothing
	Loading  int    // a status that is a sign of life and no pass; 0 for none
	Log      *regexp.Regexp
	Timeout  time.Duration
	Period   time.Duration
	Failures int
}

// Question is one path that Capabilities asks.
type Question struct {
	Path string
	As   string
	IDs  string `yaml:"ids"`
}

// Stop is how an engine is asked to end.
type Stop struct {
	Signal Signal
	Second Signal        // insists towards the end of Grace; zero leaves the choice to the supervisor
	Grace  time.Duration // until SIGKILL; zero leaves the choice to the supervisor
}

// Signal is a signal that profiles write by its name.
type Signal syscall.Signal

// UnmarshalText reads "SIGTERM".
func (s *Signal) UnmarshalText(text []byte) error {
	n := unix.SignalNum(string(text))
	if n == 0 {
		return fmt.Errorf("%q is not a signal; write it as SIGTERM", text)
	}
	*s = Signal(n)
	return nil
}

// serves reports whether the engine is one for workers of the type.
func (p Profile) serves(workerType string) bool {
	return slices.Contains(p.Types, workerType) || slices.Contains(p.Types, "*")
}
