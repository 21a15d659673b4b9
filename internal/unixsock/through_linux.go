package unixsock

import (
	"os"
	"strconv"
)

// through names a file by its folder's descriptor.
func through(dir *os.File, name string) (string, error) {
	return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + name, nil
}
