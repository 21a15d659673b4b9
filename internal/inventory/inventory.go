package inventory

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/gpu"
)

// defaultLimit is what somebody who waits for an answer does not mind.
const defaultLimit = 2 * time.Second

// Config says what to look at. The zero Config is a machine without models and engines.
type Config struct {
	// ModelDirs are the folders of models; of models of the same name, the one in the
	// earlier folder has it. A folder need not exist: one that does not is a word in the log,
	// unless NobodyAsked for them.
	ModelDirs   []string
	NobodyAsked bool

	Catalog *engines.Catalog // nil: no engines
	Find    engines.Finder   // nil: engines.Find

	// GPUFiles are patterns of files, any of which says that there is a GPU, also where
	// nvidia-smi lists none; nil: those of Linux.
	GPUFiles []string

	Limit time.Duration // how long a look takes at most; 0: 2 s
	Log   *slog.Logger  // nil: none
}

// Inventory looks at one machine. Its methods may be called at the same time.
type Inventory struct {
	cfg  Config
	dirs []string // absolute
	log  *slog.Logger

	stop    chan struct{}  // closed by Close
	running sync.WaitGroup // looks

	mu     sync.Mutex
	closed bool
	looks  map[string]chan struct{} // under way, one of each kind; closed at their ends
	last   known

	library library     // what only a look at the models touches
	smi     gpus        // what only a look at the devices touches
	failing repetitions // problems that are logged
}

// known is what was seen last.
type known struct {
	devices    []gpu.Device
	devicesErr error
	engines    []engines.Installed
	models     []Model
	folders    []Folder
	whole      bool      // models are those of a look that has ended
	at         time.Time // when that began
}

// New makes an Inventory; nothing is looked at yet. Whoever calls it calls Close.
func New(cfg Config) *Inventory {
	inv := &Inventory{cfg: cfg, log: cfg.Log, stop: make(chan struct{}), looks: map[string]chan struct{}{}}
	if inv.log == nil {
		inv.log = slog.New(slog.DiscardHandler)
	}
	if inv.cfg.GPUFiles == nil {
		inv.cfg.GPUFiles = linuxGPUs()
	}
	if inv.cfg.Limit == 0 {
		inv.cfg.Limit = defaultLimit
	}
	for _, dir := range cfg.ModelDirs {
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		inv.dirs = append(inv.dirs, dir)
	}
	return inv
}

// Close ends the looks that are under way, and waits for them until ctx ends, which
// is an error: then one of them waits for a file. After it, Look tells what was known.
func (inv *Inventory) Close(ctx context.Context) error {
	inv.mu.Lock()
	if !inv.closed {
		inv.closed = true
		close(inv.stop)
	}
	inv.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		inv.running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a look at %v to end: %w", inv.dirs, context.Cause(ctx))
	}
}

// begin is a look of one kind that is under way: its channel is closed at its end. Those
// who ask while there is one get the same, so that one that hangs gathers nobody. It is
// nil after Close.
func (inv *Inventory) begin(kind string, look func()) <-chan struct{} {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.closed {
		return nil
	}
	if under := inv.looks[kind]; under != nil {
		return under
	}
	end := make(chan struct{})
	inv.looks[kind] = end
	inv.running.Go(func() {
		look()
		inv.mu.Lock()
		defer inv.mu.Unlock()
		delete(inv.looks, kind)
		close(end)
	})
	return end
}

// Look looks at the machine: at its cores and memory at once, at the rest for no longer
// than Config.Limit or until ctx ends. What is not seen by then is told as it was last
// seen, with a word in Problems; the look goes on, and the next one joins it.
func (inv *Inventory) Look(ctx context.Context) Machine {
	ctx, cancel := context.WithTimeout(ctx, inv.cfg.Limit)
	defer cancel()
	devices := inv.begin("devices", func() { inv.lookAtDevices(context.WithoutCancel(ctx)) })
	installed := inv.begin("engines", inv.lookAtEngines)
	models := inv.begin("models", inv.lookAtModels)

	m := machine()
	late := func(look <-chan struct{}, what string) {
		if look != nil && !ended(ctx, look) {
			m.Problems = append(m.Problems, what)
		}
	}
	late(devices, "the GPUs did not answer in time; this is what they last said")
	late(installed, "the search for engines has not ended yet; this is its last result")
	late(models, "the look at the model folders has not ended yet; this is what is known so far")

	inv.mu.Lock()
	defer inv.mu.Unlock()
	m.Devices, m.Engines, m.Models, m.ModelDirs = orNone(inv.last.devices), orNone(inv.last.engines), orNone(inv.last.models), orNone(inv.last.folders)
	if inv.last.whole {
		m.ModelsAt = inv.last.at
	}
	if err := inv.last.devicesErr; err != nil {
		m.Problems = append(m.Problems, err.Error())
	}
	return m
}

// orNone is a copy, and [] instead of null in JSON.
func orNone[T any](list []T) []T { return append(make([]T, 0, len(list)), list...) }

func (inv *Inventory) remember(change func(*known)) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	change(&inv.last)
}

func (inv *Inventory) lookAtEngines() {
	if inv.cfg.Catalog == nil {
		return
	}
	list := slices.DeleteFunc(inv.cfg.Catalog.List(inv.cfg.Find), func(e engines.Installed) bool { return e.Path == "" })
	inv.remember(func(k *known) { k.engines = list })
}

// gpus is kept over the looks, since a nvidia-smi that hangs is not to be asked again.
type gpus struct{ found *gpu.Devices }

func (inv *Inventory) lookAtDevices(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inv.running.Go(func() {
		select {
		case <-inv.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	if inv.smi.found == nil { // it may be installed later
		inv.smi.found = gpu.Find(os.Environ())
	}
	list, err := inv.smi.found.List(ctx)
	inv.failing.tell(inv.log, "gpus", err)
	inv.remember(func(k *known) {
		k.devicesErr = err
		if err == nil {
			k.devices = list
		}
	})
}
