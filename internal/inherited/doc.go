// Package inherited closes the open files that a process was born with and did not ask
// for: a script's lock, a pipe that somebody reads to its end. Who stays when its caller
// has gone must not keep those open, nor pass them on to its children.
//
//	func main() {
//		inherited.Close(3) // standard streams and 3, which the parent promised, stay
//		...
//	}
//
// It tells them by what Go does not do: whatever a Go program opens itself is closed when
// it executes another (close-on-exec), and what it was born with can't be. It is no use
// once a program has cleared that flag to hand a file on.
package inherited
