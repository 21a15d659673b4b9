package inventory

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"

	parser "github.com/gpustack/gguf-parser-go"
)

// The parser takes a file at its word: what a header claims, it allocates, and no
// recover catches a process that runs out of memory. So its claims are checked before,
// with limits that are a multiple of what the largest models need.
const (
	maxHeader  = 256 << 20 // bytes; a vocabulary of 256,000 words takes about 10 MB
	maxPairs   = 1 << 16
	maxTensors = 1 << 17
	maxName    = 1 << 16  // bytes
	maxText    = 32 << 20 // bytes
	maxItems   = 1 << 24  // of an array; each takes a byte at least
	maxLayers  = 1 << 12
)

// header reads a GGUF file's header as far as it takes to trust it.
type header struct {
	r     *bufio.Reader
	left  int64 // bytes of maxHeader
	align uint64
}

// errFormat is the cause where a file is not what it should be, rather than unreadable.
var errFormat = errors.New("not a whole GGUF file")

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errFormat, fmt.Sprintf(format, args...))
}

// checkHeader finds out whether r is a GGUF file of size bytes whose header claims
// nothing that it can't be, and which has all its tensors' bytes.
func checkHeader(r io.Reader, size int64) error {
	h := header{left: maxHeader, align: 32}
	h.r = bufio.NewReaderSize(r, 64<<10)
	err := h.check(size)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return wrong("its header breaks off after %d bytes", size)
	case err != nil:
		return err
	}
	return nil
}

func (h *header) check(size int64) error {
	magic := make([]byte, 4)
	if n, err := io.ReadFull(h.r, magic); err != nil || string(magic) != "GGUF" {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return wrong("it begins with %q", magic[:n])
	}
	h.left -= 4
	version, err := h.u32()
	if err != nil {
		return err
	}
	if version != 2 && version != 3 {
		return wrong("its version is %d, or it is for big-endian machines", version)
	}
	tensors, err := h.count("tensors", maxTensors)
	if err != nil {
		return err
	}
	pairs, err := h.count("values", maxPairs)
	if err != nil {
		return err
	}
	for range pairs {
		if err := h.pair(); err != nil {
			return err
		}
	}
	return h.tensors(tensors, size)
}

func (h *header) take(n uint64) error {
	if h.left -= int64(min(n, maxHeader+1)); h.left < 0 {
		return wrong("its header is longer than %d bytes", maxHeader)
	}
	return nil
}

func (h *header) u32() (uint32, error) {
	n, err := h.number(4)
	return uint32(n), err
}

// number reads an unsigned one of 1, 2, 4 or 8 bytes.
func (h *header) number(size uint64) (uint64, error) {
	if err := h.take(size); err != nil {
		return 0, err
	}
	var b [8]byte
	_, err := io.ReadFull(h.r, b[:size])
	return binary.LittleEndian.Uint64(b[:]), err
}

func (h *header) count(what string, most uint64) (uint64, error) {
	n, err := h.number(8)
	if err == nil && n > most {
		err = wrong("it claims %d %s", n, what)
	}
	return n, err
}

func (h *header) text(most uint64) (string, error) {
	n, err := h.count("bytes of text", most)
	if err != nil {
		return "", err
	}
	if err := h.take(n); err != nil {
		return "", err
	}
	var b strings.Builder // grows with what is there, not with what is claimed
	_, err = io.CopyN(&b, h.r, int64(n))
	return b.String(), err
}

func (h *header) skip(n uint64) error {
	if err := h.take(n); err != nil {
		return err
	}
	_, err := h.r.Discard(int(n))
	return err
}

// sizes of values, by GGUF's numbers for types; 8 is text, 9 an array.
var sizes = [...]uint64{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8}

const (
	typeF32   = 6
	typeText  = 8
	typeArray = 9
	typeF64   = 12
)

func (h *header) pair() error {
	key, err := h.text(maxName)
	if err != nil {
		return err
	}
	kind, err := h.u32()
	switch {
	case err != nil:
		return err
	case counts(key) && (kind >= typeText && kind <= typeArray || kind == typeF32 || kind == typeF64):
		return wrong("its %s is no whole number", key)
	case kind == typeText:
		_, err := h.text(maxText)
		return err
	case kind == typeArray:
		return h.array(key)
	case int(kind) >= len(sizes):
		return wrong("%q is of type %d, which there is not", key, kind)
	}
	n, err := h.number(sizes[kind])
	if err != nil {
		return err
	}
	return h.claim(key, n)
}

const (
	keyAlignment = "general.alignment"
	keyTensors   = "split.tensors.count"
)

// counts reports whether the parser counts or divides by a number.
func counts(key string) bool {
	return key == keyAlignment || key == keyTensors || strings.HasSuffix(key, "block_count")
}

func (h *header) claim(key string, n uint64) error {
	switch {
	case key == keyAlignment && (n < 8 || n > 1<<20 || bits.OnesCount64(n) != 1):
		return wrong("it aligns to %d bytes", n)
	case key == keyAlignment:
		h.align = n
	case key == keyTensors && n > maxTensors, counts(key) && key != keyTensors && n > maxLayers:
		return wrong("its %s is %d", key, n)
	}
	return nil
}

func (h *header) array(key string) error {
	kind, err := h.u32()
	if err != nil {
		return err
	}
	if int(kind) >= len(sizes) || kind == typeArray {
		return wrong("%q is an array of type %d", key, kind)
	}
	most := uint64(maxItems)
	if !strings.HasPrefix(key, "tokenizer.") {
		most = maxPairs // the parser reads some of these into memory, 16 bytes each and more
	}
	items, err := h.count("items of "+key, most)
	if err != nil {
		return err
	}
	if kind != typeText {
		return h.skip(items * sizes[kind])
	}
	for range items {
		n, err := h.count("bytes of text", maxText)
		if err != nil {
			return err
		}
		if err := h.skip(n); err != nil {
			return err
		}
	}
	return nil
}

// tensors checks that the file is long enough for each.
func (h *header) tensors(count uint64, size int64) error {
	var end uint64 // of the last one, from the first one's beginning
	for range count {
		name, err := h.text(maxName)
		if err != nil {
			return err
		}
		to, err := h.tensor(name)
		if err != nil {
			return err
		}
		end = max(end, to)
	}
	read := uint64(maxHeader - h.left)
	begin := (read + h.align - 1) / h.align * h.align
	if whole := begin + end; count > 0 && uint64(size) < whole {
		return wrong("it has %d bytes of %d; it may not have been downloaded to its end", size, whole)
	}
	return nil
}

// tensor reads where one ends.
func (h *header) tensor(name string) (end uint64, err error) {
	dimensions, err := h.u32()
	if err != nil {
		return 0, err
	}
	if dimensions == 0 || dimensions > 4 {
		return 0, wrong("%q has %d dimensions", name, dimensions)
	}
	elements := uint64(1)
	for range dimensions {
		n, err := h.number(8)
		if err != nil {
			return 0, err
		}
		over, product := bits.Mul64(elements, n)
		if elements = product; over != 0 || elements > 1<<48 {
			return 0, wrong("%q has too many elements", name)
		}
	}
	kind, err := h.u32()
	if err != nil {
		return 0, err
	}
	offset, err := h.number(8)
	if err != nil {
		return 0, err
	}
	if offset > 1<<48 {
		return 0, wrong("%q begins at %d", name, offset)
	}
	trait, known := parser.GGMLType(kind).Trait()
	if !known || trait.BlockSize == 0 {
		return offset, nil // the parser will say so
	}
	return offset + (elements+trait.BlockSize-1)/trait.BlockSize*trait.TypeSize, nil
}
