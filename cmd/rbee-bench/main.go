// Command rbee-bench says what rbee's daemons take under load, each beside the least
// that could be done for the same requests, in the same run, in turns.
//
//	rbee-bench registry                          # all there is, some minutes
//	rbee-bench registry --only heartbeat,expiry
//	rbee-bench registry --json --quick           # some seconds, whose figures mean little
//
// Latencies are of an open loop: requests are made at a rate, and each counts from when
// it was due, whether or not it could be sent then. A server that stalls has every
// request against it that was due meanwhile. The highest rate is found beforehand, in a
// closed loop: some connections that each ask again as soon as they have an answer.
//
// The servers are children of this program, on free ports of the loopback interface,
// and end with it. On Linux they have one half of the cores and the load comes from the
// other, so that the server is what is measured. Its processor time for each request is
// told as well; other load on the machine moves it less than the rate.
//
// When it is killed, etcd's folder stays behind among the temporary files, and nothing
// else.
//
// It does not measure networks, disks or many machines, and it keeps nothing: figures of
// two runs, or of two machines, say little beside one another. Ratios within one do.
package main

import (
	"os"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	return cli.Main(cli.App{
		Name:    "rbee-bench",
		About:   "Measure rbee's daemons under load, each beside the least that could be done.",
		Grammar: &grammar{},
	}, os.Args[1:])
}

type grammar struct {
	Registry registryCmd `cmd:"" help:"Measure the registry."`

	ServeRegistry serveRegistryCmd `cmd:"" hidden:"" help:"Be a registry to be measured."`
	ServeBare     serveBareCmd     `cmd:"" hidden:"" help:"Be the least that could be done."`
}
