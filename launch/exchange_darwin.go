package launch

import "golang.org/x/sys/unix"

// exchange has two files change names in one step.
func exchange(a, b string) error { return unix.RenamexNp(a, b, unix.RENAME_SWAP) }
