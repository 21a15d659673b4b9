package guard

import (
	"os"
	"strconv"
	"strings"
)

// Boot names this boot of the system; "" where that can't be read.
func Boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// commandLine is for people: the name alone while a program is executed, and "" when the
// process is gone.
func commandLine(pid int) string {
	dir := "/proc/" + strconv.Itoa(pid)
	args, err := os.ReadFile(dir + "/cmdline")
	if err != nil || len(args) == 0 {
		args, _ = os.ReadFile(dir + "/comm")
	}
	return strings.TrimSpace(strings.ReplaceAll(string(args), "\x00", " "))
}
