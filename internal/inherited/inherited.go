package inherited

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Close closes the inherited descriptors, the three standard ones and those in keep left
// out. It closes nothing where the system does not list them.
func Close(keep ...int) {
	entries, _ := os.ReadDir("/dev/fd") // on Linux a link to /proc/self/fd
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 || slices.Contains(keep, fd) {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}
