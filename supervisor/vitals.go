package supervisor

import (
	"context"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// Usage is what a process tree takes.
type Usage struct {
	Processes int
	RSS       uint64        // bytes; pages that processes share count for each
	CPU       time.Duration // of the processes that live now
	IO        uint64        // bytes passed through read and write
}

// UsageOf adds up what the given processes take; one that is gone counts nothing.
func UsageOf(ctx context.Context, pids []int) Usage {
	var u Usage
	for _, pid := range pids {
		p, err := process.NewProcessWithContext(ctx, int32(pid))
		if err != nil {
			continue
		}
		u.Processes++
		if m, err := p.MemoryInfoWithContext(ctx); err == nil {
			u.RSS += m.RSS
		}
		if t, err := p.TimesWithContext(ctx); err == nil {
			u.CPU += time.Duration((t.User + t.System) * float64(time.Second))
		}
		if io, err := p.IOCountersWithContext(ctx); err == nil {
			u.IO += io.ReadBytes + io.WriteBytes
		}
	}
	return u
}

// What counts as a sign of life between two looks. An idle server that is merely
// asked whether it is ready stays below each of them.
const (
	lifeRSS = 1 << 20 // bytes
	lifeIO  = 1 << 20 // bytes
	lifeCPU = 0.2     // of one processor
)

// alive reports whether a child did something between two looks at it.
func alive(before, now Usage, between time.Duration) bool {
	return now.RSS > before.RSS+lifeRSS ||
		now.IO > before.IO+lifeIO ||
		now.CPU-before.CPU > time.Duration(lifeCPU*float64(between)) ||
		now.Processes != before.Processes
}
