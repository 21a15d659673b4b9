package inventory_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

const tiny = "../../testdata/tiny.gguf"

func write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadModel(t *testing.T) {
	m, err := inventory.ReadModel(tiny)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "tiny" || m.Architecture != "llama" || m.Quantization != "F32" || m.Parameters != 123_328 ||
		m.SizeBytes != 503_744 || m.ContextLength != 2048 || m.Error != "" || m.ModifiedAt.IsZero() {
		t.Errorf("%+v", m)
	}
	// Weights are 0.5 MB and the cache is 0.5 MB; what is left is llama.cpp's buffers.
	if m.MemoryContext != 2048 || m.MemoryBytes < 1<<20 || m.MemoryBytes > 64<<20 || m.MemoryError != "" {
		t.Errorf("memory %d for %d tokens, %q", m.MemoryBytes, m.MemoryContext, m.MemoryError)
	}
}

func TestReadModelThatKnowsMoreContext(t *testing.T) {
	m, err := inventory.ReadModel(write(t, filepath.Join(t.TempDir(), "m-Q4_K_M.gguf"), llama(t, nil)))
	if err != nil || m.Quantization != "Q4_K_M" || m.ContextLength != 8192 || m.MemoryContext != inventory.MaxContext {
		t.Errorf("%+v, %v", m, err)
	}
}

// What makes the parser panic is an error of the file, or of the estimate alone.
func TestReadModelThatMakesNoSense(t *testing.T) {
	for _, test := range []struct {
		name string
		more func(*gguf)
		err  string
	}{
		{"a number that is text", func(g *gguf) { g.pair("general.quantization_version", typeText, "two") }, "not a whole GGUF file: "},
		{"an unknown type of tensor", func(g *gguf) {
			g.put(&g.tensor, "x", uint32(1), uint64(1), uint32(99), uint64(0))
			g.counts[0]++
		}, "unsupported"},
	} {
		m, err := inventory.ReadModel(write(t, filepath.Join(t.TempDir(), "m.gguf"), llama(t, test.more)))
		if err == nil || m.Error != err.Error() || !strings.Contains(m.Error, test.err) {
			t.Errorf("%s: %+v, %v", test.name, m, err)
		}
		if m.Name != "m" || m.SizeBytes == 0 {
			t.Errorf("%s: what the file system knows is lost: %+v", test.name, m)
		}
	}
}

// FuzzModel: no file's content ends the program, or is a model that says nothing.
func FuzzModel(f *testing.F) {
	f.Add(llama(f, nil))
	f.Add(llama(f, func(g *gguf) { g.pair("llama.attention.sliding_window", typeU32, uint32(16)) }))
	f.Add(llama(f, func(g *gguf) {
		g.pair("llama.expert_count", typeU32, uint32(4))
		g.pair("llama.expert_used_count", typeU32, uint32(2))
		g.pair("llama.attention.head_count_kv", typeArray, typeU32, uint64(1), uint32(2))
	}))
	f.Add([]byte("GGUF\x03\x00\x00\x00"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := os.CreateTemp(dir, "*.gguf")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(file.Name())
		if _, err := file.Write(content); errors.Join(err, file.Close()) != nil {
			t.Fatal(err)
		}
		m, err := inventory.ReadModel(file.Name())
		switch {
		case err != nil && m.Error == "":
			t.Errorf("%v is not told", err)
		case err == nil && m.Architecture == "" && m.MemoryBytes == 0 && m.MemoryError == "":
			t.Errorf("it says nothing: %+v", m)
		}
	})
}
