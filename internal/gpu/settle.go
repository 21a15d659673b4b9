package gpu

import (
	"context"
	"time"
)

const (
	limit  = 5 * time.Second        // what is not free then is another's, or never will be
	period = 100 * time.Millisecond // between two questions
	steady = time.Second            // without a fall, and no more is expected
	slack  = 64 << 20               // bytes that come and go by themselves
)

// Settle waits until the devices have no more memory in use than before, but for 64
// MiB, or that has not fallen for a second, 5 s at most, or until ctx ends. waiting is
// told once, when there is something to wait for, how many bytes more than before are
// in use. It returns the last answer, and whether it settled.
func (d *Devices) Settle(ctx context.Context, before Memory, waiting func(left int64)) (Memory, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(period)
	defer tick.Stop()
	var seen history
	for told := false; ; told = true {
		used, err := d.Used(ctx)
		switch {
		case ctx.Err() != nil:
			return seen.last, false, nil
		case err != nil:
			return nil, false, err
		case seen.settled(time.Now(), before, used):
			return used, true, nil
		case !told:
			waiting(left(before, used))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return used, false, nil
		}
	}
}

// history is what the answers so far come to.
type history struct {
	last Memory
	fell time.Time // when memory was last seen to fall; at first, when it was first seen
}

// settled takes one more answer.
func (h *history) settled(now time.Time, before, used Memory) bool {
	if h.last == nil || falls(h.last, used) {
		h.fell = now
	}
	h.last = used
	return left(before, used) == 0 || now.Sub(h.fell) >= steady
}

func falls(last, used Memory) bool {
	for device, now := range used {
		if now < last[device] {
			return true
		}
	}
	return false
}

// left is by how much the devices have more in use than before.
func left(before, used Memory) int64 {
	var more int64
	for device, now := range used {
		if extra := now - before[device]; extra > slack {
			more += extra
		}
	}
	return more
}
