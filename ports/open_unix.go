//go:build unix

package ports

import "syscall"

// openSafely are the flags for files in a directory that others may write to: no
// symbolic link is followed, and a named pipe does not block us.
const openSafely = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
