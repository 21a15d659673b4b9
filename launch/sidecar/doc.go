// Package sidecar runs a launch in a process of its own, which outlives the one that
// asked for it: the same program once more, in a session of its own, told by a variable
// of its environment what it is to be.
//
//	// Whoever wants a launch that goes on without it:
//	p, err := sidecar.Start(sidecar.Command{Argv: []string{"rbee-hive", "keep", job}})
//	for m := range p.Messages() { ... } // events, log, and how it ended
//	p.Leave()                           // the sidecar goes on
//
//	// What is called by "keep":
//	role, err := sidecar.TakeRole()
//	return sidecar.Run(ctx, sidecar.Options{Role: role, Program: "rbee-hive", Config: cfg})
//
// A sidecar tells whoever started it how its launch goes, for as long as that listens,
// and needs nobody afterwards: it beats for its child, restarts it, and takes commands at
// the launch's socket (launch.Open). It writes its own log beside the child's. It goes on
// as another version of the program where that is asked for (launch.Remote.Upgrade), in
// the same process. When it is killed, and its child was to be kept, Resume says which
// program is to be started, and how, for a sidecar that takes the child over.
//
// It does not choose what is launched, print anything, or catch signals: the end of the
// context that Run gets is a stop of the launch. It does not bring back a sidecar that
// was killed; whoever wants that looks through launch.Orphans.
package sidecar
