// Package engines knows how model servers are started: a catalog of profiles that
// say, as data, which program to look for, with which arguments and environment,
// how to ask whether it is ready and what it can do, and how to stop it.
//
//	catalog, err := engines.Load("") // the built-in profiles and the user's own file
//	...
//	found, err := catalog.Choose("llm", "", nil) // llama-server when installed, else ollama
//	model, err := found.ResolveModel("./tiny.gguf")
//	cmd, err := found.Command(engines.Vars{Host: "127.0.0.1", Port: 8080, Model: model})
//	child := exec.Command(cmd.Path, cmd.Args...)
//	child.Env = cmd.Environ(os.Environ())
//
// The profiles are in profiles.yaml; its comments are the reference of the format.
// A user's file has the same form. A profile in it with the name of a built-in one
// changes the fields that it names, a new name is a new engine.
//
// What it does not do: it starts, probes and stops nothing, and leases no port. The
// one thing it asks of a running server is to load its model (Load) and what it can
// do (Capabilities).
package engines
