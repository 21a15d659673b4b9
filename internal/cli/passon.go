package cli

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/internal/pid1"
)

// PassOn gives the signals that are the child's from now on, and no longer ours:
// SIGUSR1 and SIGUSR2, which would end us. As the first program of a container these
// are also SIGHUP and SIGQUIT, by which many servers are told to reload or to end, and
// SIGWINCH, where that can't come from a terminal.
func (c *Call) PassOn() <-chan os.Signal {
	if c.signals == nil {
		return nil
	}
	list := []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2}
	if pid1.Above() {
		list = append(list, syscall.SIGHUP, syscall.SIGQUIT)
		c.signals.hangups.Store(true)
		if !onTerminal() {
			list = append(list, syscall.SIGWINCH)
		}
	}
	signal.Notify(c.signals.passed, list...)
	return c.signals.passed
}

// onTerminal reports whether stdin is the terminal that sends us signals.
func onTerminal() bool {
	_, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	return err == nil
}
