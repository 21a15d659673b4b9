// Package pid1 lets a program be the first process of a container, which has duties
// that a program need not know of: orphans of the whole container fall to it and must
// be reaped, signals that it doesn't handle are lost, and when it ends, the kernel
// kills all others at once.
//
//	func main() {
//		pid1.Main() // returns at once, unless this process is PID 1
//		...         // the program itself, which then is a child of PID 1
//	}
//
// Main keeps PID 1 to those duties and runs the program as its child: an init as
// "docker run --init" adds one. It passes signals on, reaps strangers, and ends with
// the child's exit code, 128+N after signal N. A child that is killed leaves a moment
// to those who clean up after it.
//
// It ends nobody itself, supervises nothing and starts nothing again. Outside of
// containers, and on systems that have none, it does nothing.
package pid1
