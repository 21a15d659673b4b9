// Package unixsock listens and dials at Unix sockets whose paths may be longer than the
// 108 bytes (104 on macOS) that a socket address holds.
//
//	ln, err := unixsock.Listen("/very/long/path/web.sock") // mode 0600
//	conn, err := unixsock.Dial(ctx, "/very/long/path/web.sock")
//	pid, err := unixsock.ListenerPID("/very/long/path/web.sock")
//
// On Linux it goes through the folder's descriptor; elsewhere a path that is too long is
// an error that says so. It removes no socket: whose a file is only its owner knows.
package unixsock
