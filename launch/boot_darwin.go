package launch

import (
	"golang.org/x/sys/unix"
)

// bootID names the time since the machine was started; pids and start times are of one.
func bootID() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "unknown"
	}
	return id
}
