package inventory_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

// gguf writes a GGUF file's header, and after it nothing but zeros for its tensors.
type gguf struct {
	t      testing.TB
	pairs  bytes.Buffer
	tensor bytes.Buffer
	counts [2]uint64 // tensors, pairs
	data   int
}

func (g *gguf) put(to *bytes.Buffer, values ...any) {
	g.t.Helper()
	for _, v := range values {
		if text, ok := v.(string); ok {
			g.put(to, uint64(len(text)))
			to.WriteString(text)
			continue
		}
		if err := binary.Write(to, binary.LittleEndian, v); err != nil {
			g.t.Fatal(err)
		}
	}
}

// The types of values, by GGUF's numbers.
const (
	typeU32   = uint32(4)
	typeText  = uint32(8)
	typeArray = uint32(9)
	typeU64   = uint32(10)
)

func (g *gguf) pair(key string, values ...any) {
	g.counts[1]++
	g.put(&g.pairs, append([]any{key}, values...)...)
}

// matrix is a tensor of x * y numbers of 4 bytes.
func (g *gguf) matrix(name string, x, y uint64) {
	g.counts[0]++
	g.put(&g.tensor, name, uint32(2), x, y, uint32(0), uint64(g.data))
	g.data += int(x * y * 4)
}

func (g *gguf) bytes() []byte {
	var all bytes.Buffer
	all.WriteString("GGUF")
	g.put(&all, uint32(3), g.counts[0], g.counts[1], g.pairs.Bytes(), g.tensor.Bytes())
	all.Write(make([]byte, (32-all.Len()%32)%32+g.data))
	return all.Bytes()
}

// llama is a small model that makes sense.
func llama(t testing.TB, more func(*gguf)) []byte {
	g := &gguf{t: t}
	g.pair("general.architecture", typeText, "llama")
	g.pair("general.file_type", typeU32, uint32(15)) // Q4_K_M, whatever its tensors are
	for key, n := range map[string]uint32{
		"context_length": 8192, "embedding_length": 32, "block_count": 1, "feed_forward_length": 64,
		"attention.head_count": 2, "attention.head_count_kv": 2, "rope.dimension_count": 16, "vocab_size": 4,
	} {
		g.pair("llama."+key, typeU32, n)
	}
	g.pair("tokenizer.ggml.model", typeText, "llama")
	g.pair("tokenizer.ggml.tokens", typeArray, typeText, uint64(4), "a", "b", "c", "d")
	if more != nil {
		more(g)
	}
	g.matrix("token_embd.weight", 32, 4)
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_output"} {
		g.matrix("blk.0."+name+".weight", 32, 32)
	}
	for _, name := range []string{"ffn_gate", "ffn_up"} {
		g.matrix("blk.0."+name+".weight", 32, 64)
	}
	g.matrix("blk.0.ffn_down.weight", 64, 32)
	g.matrix("output.weight", 32, 4)
	return g.bytes()
}

func TestHeader(t *testing.T) {
	if err := inventory.CheckHeader(llama(t, nil)); err != nil {
		t.Errorf("one that is right: %v", err)
	}
	key := func(key string, values ...any) []byte {
		return llama(t, func(g *gguf) { g.pair(key, values...) })
	}
	const much = uint64(1) << 40
	for _, test := range []struct {
		name    string
		content []byte
		err     string
	}{
		{"nothing", nil, `it begins with ""`},
		{"text", []byte("<html>"), `it begins with "<htm"`},
		{"version", []byte("GGUF\x00\x00\x00\x03"), "big-endian"},
		{"breaks off", []byte("GGUF\x03\x00\x00\x00"), "breaks off after 8 bytes"},
		{"tensors", append([]byte("GGUF\x03\x00\x00\x00"), bytes.Repeat([]byte{1}, 16)...), "it claims 72340172838076673 tensors"},
		{"text too long", key("general.name", typeText, much), "bytes of text"},
		{"text that is not there", key("general.name", typeText, uint64(30<<20)), "breaks off"},
		{"array too long", key("llama.attention.head_count", typeArray, typeU32, much), "items of llama.attention.head_count"},
		{"array of arrays", key("a", typeArray, typeArray, uint64(1), typeU32, uint64(1), uint32(1)), "is an array of type 9"},
		{"type", key("a", uint32(99), uint32(1)), "of type 99"},
		{"alignment", key("general.alignment", typeU32, uint32(0)), "it aligns to 0 bytes"},
		{"layers", key("llama.block_count", typeU64, much), "its llama.block_count is 1099511627776"},
		{"layers as text", key("llama.block_count", typeText, "9999999999"), "is no whole number"},
		{"tensors of all shards", key("split.tensors.count", typeU32, uint32(1<<31)), "its split.tensors.count is"},
		{"a large tensor", llama(t, func(g *gguf) {
			g.put(&g.tensor, "x", uint32(2), much, much, uint32(0), uint64(0))
			g.counts[0]++
		}), "too many elements"},
		{"no dimension", llama(t, func(g *gguf) {
			g.put(&g.tensor, "x", uint32(0), uint32(0), uint64(0))
			g.counts[0]++
		}), "0 dimensions"},
	} {
		err := inventory.CheckHeader(test.content)
		if !errors.Is(err, inventory.ErrFormat) || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, want %q", test.name, err, test.err)
		}
	}
}

// A download that was broken off is noticed wherever that was.
func TestHeaderOfTruncated(t *testing.T) {
	whole := llama(t, nil)
	const header = 3000 // of which every byte is one too few; after it, some are enough
	for n := 0; n < len(whole); n++ {
		if n > header {
			n = min(n+997, len(whole)-1)
		}
		if err := inventory.CheckHeader(whole[:n]); !errors.Is(err, inventory.ErrFormat) {
			t.Fatalf("of %d bytes %d are there: %v", len(whole), n, err)
		}
	}
}
