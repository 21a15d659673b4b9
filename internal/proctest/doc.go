// Package proctest does to processes, and asks about them, what tests of several packages
// need.
//
//	err := proctest.Signal(pid, syscall.SIGSTOP) // none of its threads runs any more
//	...
//	for proctest.Mentioned(dir) { // by a process that is still there
//
// It reads /proc, and so does what it promises on Linux alone.
package proctest
