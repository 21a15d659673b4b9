// Package program holds the command lines of rbee's daemons, so that each can be a
// binary of its own and all of them can run from rbee-launch, too: a single file
// started under another name (argv[0]) is that program.
//
//	func main() { os.Exit(program.Main("queen-rbee", os.Args[1:])) }
//
// It holds flags alone; what the daemons do is in registry/server, queen and worker.
package program
