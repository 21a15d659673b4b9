package queen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/gpu"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// offer is one hive as a spawn sees it: what it answered just now, as far as the choice
// goes by it.
type offer struct {
	id   string
	at   registry.Component
	gone string // why it can't be asked, or what it has refused; "" where it answered
	// refused: it was chosen, and did not take the job.
	refused bool
	// unsure: nothing has been heard of it for long, but by this answer, since the registry is away.
	unsure bool

	ID      string `json:"component_id"`
	Engines []struct {
		Name     string   `json:"name"`
		Types    []string `json:"types"`
		Explicit bool     `json:"explicit"`
		Path     string   `json:"path"`
	} `json:"engines"`
	Models []struct {
		Name   string `json:"name"`
		Path   string `json:"path"`
		Memory uint64 `json:"memory_bytes"`
		Error  string `json:"error"`
	} `json:"models"`
	Devices   []gpu.Device `json:"devices"`
	Available uint64       `json:"memory_available_bytes"`

	promised uint64 // what workers will take whose start is under way
	starting int    // how many those are
}

// engine is the one that the hive would take, "" for none. It is the hive's own to choose;
// this is whether it can.
func (o offer) engine(req client.SpawnRequest) string {
	for _, e := range o.Engines {
		named := req.Engine == e.Name
		serves := slices.Contains(e.Types, req.WorkerType) || slices.Contains(e.Types, "*")
		if e.Path != "" && serves && (named || req.Engine == "" && !e.Explicit) {
			return e.Name
		}
	}
	return ""
}

// model looks for a model in the hive's folders. Memory is 0 where it is not known.
func (o offer) model(name string) (memory uint64, onDisk bool) {
	for _, m := range o.Models {
		file := m.Path[strings.LastIndexByte(m.Path, '/')+1:]
		if name != "" && m.Error == "" && (strings.EqualFold(m.Name, name) || file == name || m.Path == name) {
			return m.Memory, true
		}
	}
	return 0, false
}

// free is the memory that a worker could have: that of GPUs, and the machine's.
func (o offer) free() (gpu, ram uint64) {
	for _, d := range o.Devices {
		gpu += d.MemoryBytes - min(d.MemoryUsedBytes, d.MemoryBytes)
	}
	ram = o.Available
	if gpu > 0 {
		return gpu - min(o.promised, gpu), ram
	}
	return 0, ram - min(o.promised, ram)
}

// choice is where a worker is to be, and why there.
type choice struct {
	offer
	why    string
	memory uint64 // what it will take, if that is known
}

// refusal says of each hive why it is not the one.
type refusal struct{ reasons []string }

func (r *refusal) Error() string {
	if len(r.reasons) == 0 {
		return "no hive is online: start rbee-hive on a machine"
	}
	return "no hive can run it: " + strings.Join(r.reasons, "; ")
}

func (r *refusal) add(o offer, format string, args ...any) {
	const most = 10
	switch n := len(r.reasons); {
	case n < most:
		r.reasons = append(r.reasons, o.id+": "+fmt.Sprintf(format, args...))
	case n == most:
		r.reasons = append(r.reasons, "and more")
	}
}

// chooseHive picks the hive that has the engine, the model on disk if any has it, and the most
// free memory; those that are online come first.
func chooseHive(offers []offer, req client.SpawnRequest) (choice, error) {
	able, refused := ableHives(offers, req)
	if sure := slices.DeleteFunc(slices.Clone(able), func(c choice) bool { return c.unsure }); len(sure) > 0 {
		able = sure
	}
	if len(able) == 0 {
		return choice{}, refused
	}
	if onDisk := havingModel(able, req.Model); len(onDisk) > 0 {
		able = onDisk
	}
	before := slices.DeleteFunc(slices.Clone(offers), func(o offer) bool { return !o.refused })
	chosen := best(able, len(offers), len(before) > 0)
	if chosen.unsure {
		chosen.why += "; the registry is away, and the hive answers where it was last"
	}
	for _, o := range before {
		chosen.why += fmt.Sprintf("; hive %s was asked before, and refused: %s", o.id, o.gone)
	}
	return chosen, nil
}

// ableHives are those that could run it, and of the others why not.
func ableHives(offers []offer, req client.SpawnRequest) (able []choice, refused *refusal) {
	refused = &refusal{}
	for _, o := range offers {
		o, lacks := o.on(req.Device)
		switch engine := o.engine(req); {
		case o.gone != "":
			refused.add(o, "%s", o.gone)
		case engine == "" && req.Engine != "":
			refused.add(o, "it has no engine %s for %s workers", httpd.Brief(req.Engine), httpd.Brief(req.WorkerType))
		case engine == "":
			refused.add(o, "it has no engine for %s workers", httpd.Brief(req.WorkerType))
		case lacks != "":
			refused.add(o, "it has no GPU %s", httpd.Brief(lacks))
		default:
			memory, onDisk := o.model(req.Model)
			if !onDisk && isFile(req.Model) {
				refused.add(o, "it has no model %s in its folders", httpd.Brief(req.Model))
				continue
			}
			c := choice{offer: o, memory: memory, why: "it has the engine " + engine}
			if onDisk {
				c.why += ", the model on disk"
			}
			able = append(able, c)
		}
	}
	return able, refused
}

// havingModel are those that have the model on disk.
func havingModel(able []choice, model string) []choice {
	return slices.DeleteFunc(slices.Clone(able), func(c choice) bool { _, has := c.model(model); return !has })
}

// isFile reports whether a model can be nothing but a file in a hive's folders.
func isFile(model string) bool {
	return strings.HasSuffix(strings.ToLower(model), ".gguf") || strings.HasPrefix(model, "/")
}

// best is the one with the most free memory, GPUs' first; of equals the one that starts
// the fewest, and then the first by its name. Again is that others were chosen before.
func best(able []choice, of int, again bool) choice {
	best := slices.MaxFunc(able, func(a, b choice) int {
		gpuA, ramA := a.free()
		gpuB, ramB := b.free()
		return cmp.Or(cmp.Compare(gpuA, gpuB), cmp.Compare(ramA, ramB), cmp.Compare(b.starting, a.starting), cmp.Compare(b.id, a.id))
	})
	gpu, ram := best.free()
	free := cmp.Or(gpu, ram)
	kind := "memory"
	if gpu > 0 {
		kind = "GPU memory"
	}
	switch {
	case of == 1:
		best.why += fmt.Sprintf(" and %s of %s free, and is the only hive", size(free), kind)
	case len(able) == 1 && again:
		best.why += fmt.Sprintf(" and %s of %s free", size(free), kind)
	case len(able) == 1:
		best.why += fmt.Sprintf(" and %s of %s free; no other hive has that", size(free), kind)
	default:
		best.why += fmt.Sprintf(" and %s of %s free, the most of %d hives that could", size(free), kind, len(able))
	}
	if best.memory > free {
		best.why += fmt.Sprintf(", though the model may take %s", size(best.memory))
	}
	return best
}

// size is a number of bytes for people.
func size(bytes uint64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}
