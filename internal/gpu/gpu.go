package gpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// askLimit bounds one question: nvidia-smi hangs where the driver does.
const askLimit = 2 * time.Second

// Devices are the GPUs that one process may use.
type Devices struct {
	smi string // nvidia-smi
	ids string // for its --id; "" is all

	asking atomic.Int32 // how many nvidia-smi have not ended yet
}

// Memory is what is in use on each device, in bytes, by the device's UUID.
type Memory map[string]int64

// Find looks for nvidia-smi on this process's PATH and for what CUDA_VISIBLE_DEVICES in
// env makes of its devices. It returns nil where there are none.
func Find(env []string) *Devices {
	d, _ := Look(env)
	return d
}

// Why Look finds none.
var (
	ErrNoDriver = errors.New("nvidia-smi, which comes with NVIDIA's driver, is not on PATH")
	ErrHidden   = errors.New("CUDA_VISIBLE_DEVICES names none")
)

// Look is Find with the reason: ErrNoDriver or ErrHidden.
func Look(env []string) (*Devices, error) {
	smi, err := exec.LookPath("nvidia-smi")
	if err != nil {
		return nil, ErrNoDriver
	}
	visible, limited := "", false
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "CUDA_VISIBLE_DEVICES="); ok {
			visible, limited = value, true // the last one counts
		}
	}
	if limited && (visible == "" || strings.HasPrefix(visible, "-1")) {
		return nil, ErrHidden
	}
	return &Devices{smi: smi, ids: visible}, nil
}

// Used asks how much memory is in use on each device. It takes 2 s at most.
func (d *Devices) Used(ctx context.Context) (Memory, error) {
	out, err := d.ask(ctx, "uuid,memory.used")
	if err != nil {
		return nil, fmt.Errorf("ask %s for memory: %w", d.smi, err)
	}
	return parse(out)
}

// ask runs nvidia-smi with a query for the devices. It takes 2 s at most.
func (d *Devices) ask(ctx context.Context, query string) ([]byte, error) {
	args := []string{"--query-gpu=" + query, "--format=csv,noheader,nounits"}
	if d.ids != "" {
		args = append(args, "--id="+d.ids)
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	type answer struct {
		out []byte
		err error
	}
	answered := make(chan answer, 1)
	d.asking.Add(1)
	// Not waited for when time is up: in a driver that hangs, even SIGKILL waits.
	go func() {
		cmd := exec.CommandContext(ctx, d.smi, args...)
		cmd.WaitDelay = askLimit
		out, err := cmd.Output()
		d.asking.Add(-1) // before the answer: whoever has that may ask again
		answered <- answer{out, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, fmt.Errorf("%w: %s", a.err, bytes.TrimSpace(a.out))
		}
		return a.out, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// parse reads lines of "GPU-8f6...., 1234", in MiB. A device that shares the machine's
// memory says "[N/A]" and is left out.
func parse(out []byte) (Memory, error) {
	used := Memory{}
	for line := range strings.Lines(string(out)) {
		uuid, text, _ := strings.Cut(strings.TrimSpace(line), ",")
		if mib, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
			used[uuid] = mib << 20
		}
	}
	if len(used) == 0 {
		return nil, errors.New("nvidia-smi tells of no device's memory")
	}
	return used, nil
}
