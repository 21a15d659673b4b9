package inventory

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	parser "github.com/gpustack/gguf-parser-go"
)

// MaxContext is how many tokens of context a model's memory is estimated for, when it
// knows as many.
const MaxContext = 4096

// Model is one GGUF file, or the shards of one model. Where Error says why the file
// could not be read, what comes of its content is empty; an engine may know better.
type Model struct {
	// Name is the file's without .gguf and -00001-of-00003. When a folder before has
	// a model of that name, it is the whole path instead, so that no two are the same.
	Name         string    `json:"name"`
	Path         string    `json:"path"` // absolute; of the first shard
	Architecture string    `json:"architecture,omitempty"`
	Quantization string    `json:"quantization,omitempty"` // such as Q4_K_M
	Parameters   uint64    `json:"parameters,omitempty"`
	SizeBytes    int64     `json:"size_bytes"` // of all shards
	Shards       int       `json:"shards,omitempty"`
	ModifiedAt   time.Time `json:"modified_at"`
	// ContextLength is how many tokens the model was made for.
	ContextLength uint64 `json:"context_length,omitempty"`
	// MemoryBytes is an estimate of what llama.cpp takes for it on the CPU, in all,
	// with MemoryContext tokens of context. MemoryError says why there is none.
	MemoryBytes   uint64 `json:"memory_bytes,omitempty"`
	MemoryContext uint64 `json:"memory_context,omitempty"`
	MemoryError   string `json:"memory_error,omitempty"`

	Error string `json:"error,omitempty"`
}

// errNoModel: a GGUF file of another sort, such as a projector or an adapter.
var errNoModel = errors.New("not a model")

// readModel reads what the headers of f's shards say.
func readModel(f file) (Model, error) {
	m := Model{Name: f.name, Path: f.path, SizeBytes: f.size, Shards: len(f.shards), ModifiedAt: f.modified}
	err := m.read(f)
	if err != nil {
		m.Error = err.Error()
	}
	return m, err
}

func (m *Model) read(f file) error {
	if f.wrong != "" {
		return wrong("%s", f.wrong)
	}
	shards := f.shards
	if len(shards) == 0 {
		shards = []string{f.path}
	}
	for _, path := range shards {
		if err := checkFile(path); err != nil {
			return err
		}
	}
	return m.parse(f.path)
}

func checkFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkHeader(f, info.Size()); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return nil
}

// parse is for files that checkHeader has let pass. The parser panics where a sum
// makes no sense; that is an error here.
func (m *Model) parse(path string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = wrong("%v", r)
		}
	}()
	gguf, err := parser.ParseGGUFFile(path, parser.SkipLargeMetadata(), parser.UseMMap())
	if err != nil {
		return wrong("%v", err)
	}
	meta, arch := gguf.Metadata(), gguf.Architecture()
	if meta.Type != "model" || arch.Type != "model" {
		return fmt.Errorf("%s: %w: it is of type %s", filepath.Base(path), errNoModel, meta.Type)
	}
	m.Architecture, m.Quantization = meta.Architecture, meta.FileTypeDescriptor
	m.Parameters, m.ContextLength = uint64(meta.Parameters), arch.MaximumContextLength
	m.MemoryContext = MaxContext
	if m.ContextLength > 0 {
		m.MemoryContext = min(MaxContext, m.ContextLength)
	}
	if m.MemoryBytes, err = estimate(gguf, meta.Architecture, m.MemoryContext); err != nil {
		m.MemoryContext, m.MemoryError = 0, err.Error()
	}
	return nil
}

// estimate is what a model takes on the CPU. Its weights are counted, though llama.cpp
// maps them from the file: without them in memory it is too slow to be of use.
func estimate(gguf *parser.GGUFFile, architecture string, context uint64) (memory uint64, err error) {
	defer func() {
		if r := recover(); r != nil {
			memory, err = 0, fmt.Errorf("no estimate: %v", r)
		}
	}()
	if architecture == "diffusion" {
		return 0, errors.New("no estimate for models that make images")
	}
	run := gguf.EstimateLLaMACppRun(parser.WithLLaMACppContextSize(int32(context)), parser.WithLLaMACppOffloadLayers(0))
	const mapped = false // weights outside of the sum
	sum := uint64(run.SummarizeItem(mapped, 0, 0).RAM.NonUMA)
	if sum < uint64(gguf.ModelSize) || sum > 1<<50 {
		return 0, fmt.Errorf("no estimate: the sum is %d bytes for %d bytes of weights", sum, gguf.ModelSize)
	}
	return sum, nil
}
