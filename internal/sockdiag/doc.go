// Package sockdiag asks the Linux kernel for the TCP sockets on one port, without
// reading the table of all sockets and the descriptors of all processes:
//
//	sockets, err := sockdiag.OnPort(8080, sockdiag.Listen)
//	for _, s := range sockets {
//		fmt.Println(s.State, s.Inode) // the inode that /proc/PID/fd names
//	}
//
// It sees the sockets of its own network namespace and of all users. It doesn't know
// whose they are, and before Linux 6.8 doesn't show those that are bound and neither
// listen nor are connected.
//
// OnPort is for Linux alone. Table and Listener say on every system, by gopsutil and
// slowly, which processes have which sockets: for messages to people.
package sockdiag
