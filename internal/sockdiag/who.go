package sockdiag

import (
	"context"
	"fmt"

	psnet "github.com/shirou/gopsutil/v3/net"
	"github.com/shirou/gopsutil/v3/process"
)

// Table is the whole TCP table with the processes behind it, on every system. It
// costs a look at every process's descriptors: it is for messages to people. A
// process that ends while the table is put together can fail the whole, so an error
// gets a second and third chance.
func Table(ctx context.Context) (table []psnet.ConnectionStat, err error) {
	for range 3 {
		if table, err = psnet.ConnectionsWithoutUidsWithContext(ctx, "tcp"); err == nil {
			return table, nil
		}
	}
	return nil, fmt.Errorf("read the connection table: %w", err)
}

// Program is the name of a process; "" when it has ended, or the system doesn't say.
func Program(ctx context.Context, pid int32) string {
	p, err := process.NewProcessWithContext(ctx, pid)
	if err != nil {
		return ""
	}
	name, err := p.NameWithContext(ctx)
	if err != nil {
		return ""
	}
	return name
}

// Listener names a process with a listening socket that match takes:
// "redis-server (pid 42)". It is "" as far as the system tells this user of none.
func Listener(ctx context.Context, match func(psnet.ConnectionStat) bool) string {
	table, err := Table(ctx)
	if err != nil {
		return ""
	}
	for _, c := range table {
		if c.Status != "LISTEN" || c.Pid == 0 || !match(c) {
			continue
		}
		name := Program(ctx, c.Pid)
		if name == "" {
			name = "a process"
		}
		return fmt.Sprintf("%s (pid %d)", name, c.Pid)
	}
	return ""
}
