//go:build !linux

package guard

import (
	gops "github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"
)

// Boot names this boot of the system; "" where that can't be asked.
func Boot() string {
	id, _ := unix.Sysctl("kern.bootsessionuuid")
	return id
}

func commandLine(pid int) string {
	q, err := gops.NewProcess(int32(pid))
	if err != nil {
		return ""
	}
	line, _ := q.Cmdline() // best effort: for people
	return line
}
