//go:build !linux

package unixsock

import (
	"fmt"
	"os"
)

func through(dir *os.File, name string) (string, error) {
	return "", fmt.Errorf("the path has %d bytes, and a socket's can have %d: choose a shorter folder", len(dir.Name())+1+len(name), maxPath)
}
