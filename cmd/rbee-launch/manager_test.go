package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// manager listens as systemd does for its services. It sets a variable to where, and
// writes each message to a file, as one line: manager NOTIFY systemd.log.
func (s *story) manager(ts *testscript.TestScript, _ bool, args []string) {
	conn, stop, err := listenAsManager()
	ts.Check(err)
	file, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Setenv(args[0], conn.LocalAddr().String())
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return // closed
			}
			fmt.Fprintf(file, "%s\n", bytes.ReplaceAll(buf[:n], []byte("\n"), []byte(" | ")))
		}
	}()
	ts.Defer(func() {
		stop()
		<-done
		_ = file.Close()
	})
}

// listenAsManager opens a socket for NOTIFY_SOCKET. A test's own folder may be too long
// a path for one.
func listenAsManager() (conn *net.UnixConn, stop func(), err error) {
	dir, err := os.MkdirTemp("", "rbee")
	if err != nil {
		return nil, nil, err
	}
	conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return conn, func() {
		_ = conn.Close()
		_ = os.RemoveAll(dir)
	}, nil
}
