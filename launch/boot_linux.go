package launch

import (
	"os"
	"strings"
)

// bootID names the time since the machine was started; pids and start times are of one.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(id))
}
