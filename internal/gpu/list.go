package gpu

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Device is one GPU.
type Device struct {
	Index           int    `json:"index"` // as nvidia-smi counts, from 0
	UUID            string `json:"uuid"`
	Name            string `json:"name"`
	MemoryBytes     uint64 `json:"memory_bytes"`      // 0 where it shares the machine's
	MemoryUsedBytes uint64 `json:"memory_used_bytes"` // by everybody
}

// IsNamed reports whether text is the device's index, or the beginning of its UUID, as
// CUDA_VISIBLE_DEVICES takes them.
func (d Device) IsNamed(text string) bool {
	return text == strconv.Itoa(d.Index) || strings.HasPrefix(text, "GPU-") && strings.HasPrefix(d.UUID, text)
}

// errAsking keeps a driver that hangs from gathering a process for each question.
var errAsking = errors.New("the last one asked has not ended yet")

// List asks which devices there are. It takes 2 s at most. While the nvidia-smi of an
// earlier question hangs, it is an error at once. No Devices have none.
func (d *Devices) List(ctx context.Context) ([]Device, error) {
	if d == nil {
		return nil, nil
	}
	if d.asking.Load() > 0 {
		return nil, fmt.Errorf("ask %s for devices: %w", d.smi, errAsking)
	}
	out, err := d.ask(ctx, "index,uuid,memory.total,memory.used,name")
	if err != nil {
		return nil, fmt.Errorf("ask %s for devices: %w", d.smi, err)
	}
	list, err := parseList(string(out))
	if err != nil {
		return nil, fmt.Errorf("read what %s says of devices: %w", d.smi, err)
	}
	return list, nil
}

// parseList reads lines of "0, GPU-8f6..., 24564, 1234, NVIDIA GeForce RTX 4090", in MiB.
func parseList(out string) ([]Device, error) {
	r := csv.NewReader(strings.NewReader(out))
	r.TrimLeadingSpace, r.LazyQuotes, r.FieldsPerRecord = true, true, -1
	lines, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	var list []Device
	for _, f := range lines {
		if len(f) < 5 {
			return nil, fmt.Errorf("%q is not about a device", strings.Join(f, ", "))
		}
		index, err := strconv.Atoi(f[0])
		if err != nil {
			return nil, fmt.Errorf("%q has no index", strings.Join(f, ", "))
		}
		list = append(list, Device{
			Index: index, UUID: f[1], Name: strings.Join(f[4:], ", "),
			MemoryBytes: mebibytes(f[2]), MemoryUsedBytes: mebibytes(f[3]),
		})
	}
	return list, nil
}

// mebibytes is in bytes, and 0 for "[N/A]".
func mebibytes(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return n << 20
}
