// Package cli is what rbee's command lines have in common: parsing with kong,
// signals as a context, errors with a hint, exit codes, logs, and the folders that
// things are kept in.
//
//	func main() {
//		os.Exit(cli.Main(cli.App{Name: "queen-rbee", About: "The orchestrator.", Grammar: &Queen{}}, os.Args[1:]))
//	}
//
// A grammar's (or its chosen command's) Run method takes a *cli.Call. Data goes to
// Call.Stdout, all else to Call.Stderr.
package cli
