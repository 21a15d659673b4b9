package inventory

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/gpu"
)

// NoDeviceError: the machine has no GPU by that index or UUID.
type NoDeviceError struct {
	Wanted string
	Known  []gpu.Device
	Err    error // why there are none, where that is known
}

func (e *NoDeviceError) Error() string {
	if len(e.Known) == 0 {
		text := "this machine has no GPU that could be listed"
		if e.Err != nil {
			text += " (" + e.Err.Error() + ")"
		}
		return fmt.Sprintf("%q is none to be had: %s; there is cpu", e.Wanted, text)
	}
	names := []string{"cpu"}
	for _, d := range e.Known {
		names = append(names, fmt.Sprintf("%d (%s, %s)", d.Index, d.Name, d.UUID))
	}
	return fmt.Sprintf("%q is no GPU of this machine: there are %s", e.Wanted, few(names))
}

func (e *NoDeviceError) Unwrap() error { return e.Err }

// linuxGPUs are the files of GPUs that programs compute with: NVIDIA's, AMD's, and what
// Windows lends to its own Linux.
func linuxGPUs() []string { return []string{"/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg"} }

// FindDevices looks whether the machine has the GPUs of these indices or UUIDs, as
// CUDA_VISIBLE_DEVICES takes them. The error is a *NoDeviceError: the list that nvidia-smi
// gives is whole, and where it gives none and no driver has made a device, there is none.
// Otherwise nobody can say: then unsure is why. It takes as long as a Look.
func (inv *Inventory) FindDevices(ctx context.Context, wanted []string) (unsure, err error) {
	ctx, cancel := context.WithTimeout(ctx, inv.cfg.Limit)
	defer cancel()
	look := inv.begin("devices", func() { inv.lookAtDevices(context.WithoutCancel(ctx)) })
	late := look != nil && !ended(ctx, look)
	inv.mu.Lock()
	known, failed := inv.last.devices, inv.last.devicesErr
	inv.mu.Unlock()
	if late {
		failed = errors.New("nvidia-smi: it did not answer in time")
	}
	if len(known) == 0 {
		if _, missing := exec.LookPath("nvidia-smi"); missing != nil {
			failed = fmt.Errorf("nvidia-smi: %w", errors.Unwrap(missing))
		} else if failed == nil {
			failed = errors.New("nvidia-smi: it has none for this hive")
		}
		if late || slices.ContainsFunc(inv.cfg.GPUFiles, exists) {
			return failed, nil
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(known, func(d gpu.Device) bool { return d.IsNamed(w) }) && !part(w, known) {
			return nil, &NoDeviceError{Wanted: w, Known: orNone(known), Err: failed}
		}
	}
	return nil, nil
}

// part reports whether text is the name of a part of a GPU, which are not in the list.
func part(text string, known []gpu.Device) bool {
	return strings.HasPrefix(text, "MIG-") && len(known) > 0
}

func exists(pattern string) bool {
	found, err := filepath.Glob(pattern)
	return err == nil && len(found) > 0
}
