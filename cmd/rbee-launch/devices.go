package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/gpu"
)

type devicesCmd struct {
	listFlags
}

// Run lists the GPUs that what is launched from here could use.
func (c *devicesCmd) Run(call *cli.Call) error {
	list := []gpu.Device{}
	devices, none := gpu.Look(os.Environ())
	if none == nil {
		found, err := devices.List(call.Context)
		if err != nil {
			return cli.WithHint(err, "does nvidia-smi on its own list them? if not, NVIDIA's driver does not run")
		}
		list = append(list, found...)
	}
	var rows []string
	for _, d := range list {
		memory, used := "-", "-" // it shares the machine's
		if d.MemoryBytes > 0 {
			memory, used = megabytes(d.MemoryBytes), megabytes(d.MemoryUsedBytes)
		}
		rows = append(rows, row(strconv.Itoa(d.Index), d.Name, memory, used, d.UUID))
	}
	return c.print(call, list, "GPU\tNAME\tMEMORY\tIN USE\tUUID", rows,
		fmt.Sprintf("no GPU was found: %v; those of other makes are not looked for", none))
}

func megabytes(n uint64) string { return fmt.Sprintf("%d MB", n>>20) }
