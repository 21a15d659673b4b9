// Package guard starts child processes so that none of them, nor anything they
// start, outlives the program that asked for them, whatever ends that program.
//
// A guard is a second process, made of the same executable, that stands between
// the program and its children. It is their parent. It holds one end of a socket;
// when the program dies, even by SIGKILL, the kernel closes the other end and the
// guard empties the whole tree: it asks with each child's stop signal, waits
// briefly, then kills. Should the guard be the one to die, the kernel kills its
// children (PDEATHSIG) and the program, being a subreaper, inherits and kills
// their children.
//
//	func main() {
//		guard.Main() // returns at once, unless this process was started as a guard
//
//		g, err := guard.Start()
//		...
//		defer g.Close()
//		child, err := g.Spawn(guard.Command{Path: "/usr/bin/redis-server", Stdout: w, Stderr: w})
//		<-child.Exited()
//		<-child.Gone() // not only the child: everything it started
//	}
//
// A child may be kept beyond the program's death (Command.Keep): the guard goes on for
// it, reads and logs what it prints, holds what was entrusted, and waits at a socket for
// another program to Adopt it.
//
// On Linux the guard is a subreaper, so a descendant stays in its tree whether or
// not it makes a session of its own; and where a cgroup (version 2) can be written, each
// child has its own, which ends as a whole. What is left when program and guard are both
// killed is known by what was written down (Traces) and ended by Reclaim. Without
// cgroups one case is beyond these: a descendant that left its session, shed its
// environment and lost its parent, at the moment when the guard itself is killed.
// On macOS there is no subreaper: a descendant that leaves the child's process group
// after its parent died is not found.
//
// It knows nothing of readiness or restarts; package supervisor does.
package guard
