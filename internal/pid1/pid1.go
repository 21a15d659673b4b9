package pid1

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// name is PID 1's process name, by which its child knows it; ps shows it.
const name = "rbee-init"

// lingering is how long PID 1 outlives a child that was killed, for what still ends in
// good order then: the guard gives its children 2 s.
const lingering = 4 * time.Second

// failed is the exit code when the program can't be run.
const failed = 126

// Main returns at once unless this process is PID 1. Otherwise it runs the same
// program with the same arguments as its child, and never returns. Call it at the start
// of main.
func Main() {
	if os.Getpid() != 1 {
		return
	}
	_ = os.WriteFile("/proc/self/comm", []byte(name), 0) // without it the child is like any other
	status, err := run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(failed)
	}
	os.Exit(shellCode(status))
}

// Above reports whether this process is the one that Main started, so that who sent
// its signals and waits for its exit code is the container's owner.
func Above() bool {
	if os.Getppid() != 1 {
		return false
	}
	comm, err := os.ReadFile("/proc/1/comm")
	return err == nil && string(comm) == name+"\n" && sameSession()
}

// sameSession tells the child from a later one that was left to PID 1 by its parent:
// what stays behind on purpose has a session of its own.
func sameSession() bool {
	ours, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	theirs, err := unix.Getsid(1)
	return err == nil && ours == theirs
}

// run starts the child and does PID 1's duties until it has ended.
func run() (syscall.WaitStatus, error) {
	signals, childish := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT,
		syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT)
	signal.Notify(childish, syscall.SIGCHLD)
	child, err := start()
	if err != nil {
		return 0, err
	}
	for {
		select {
		case sig := <-signals:
			_ = syscall.Kill(child, sig.(syscall.Signal)) // not reaped yet, so it is there
		case <-childish:
			if status, ended := reap(child); ended {
				linger(status, childish)
				return status, nil
			}
		}
	}
}

// start runs the program, with a terminal as its foreground process group: what is
// typed there then reaches the child once, and not by way of PID 1 a second time.
func start() (int, error) {
	_, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	attr := &syscall.SysProcAttr{Foreground: err == nil} // of terminal 0
	child, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: attr,
	})
	if err != nil {
		return 0, fmt.Errorf("run %s as a child of PID 1: %w", os.Args[0], err)
	}
	return child, nil
}

// reap takes every exit there is, and says whether the child's was among them.
func reap(child int) (status syscall.WaitStatus, ended bool) {
	for {
		var s syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &s, syscall.WNOHANG|syscall.WUNTRACED, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || pid <= 0:
			return status, ended
		case s.Stopped():
			wake(pid, s.StopSignal())
		case pid == child:
			status, ended = s, true
		}
	}
}

// wake has a process go on that was stopped by Ctrl-Z: there is no shell in which
// somebody could do that. A stop that was asked for by SIGSTOP stays.
func wake(pid int, stop syscall.Signal) {
	if stop == syscall.SIGTSTP {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
}

// linger waits for those that the child left behind, if it did not end by itself: it
// was killed, or, as a Go program that panics, ended with exit code 2. With PID 1 they
// would be killed at once.
func linger(status syscall.WaitStatus, childish <-chan os.Signal) {
	if !status.Signaled() && status.ExitStatus() != 2 {
		return
	}
	limit := time.NewTimer(lingering)
	defer limit.Stop()
	for {
		switch pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); {
		case err == syscall.ECHILD:
			return
		case err != nil || pid > 0:
			continue
		}
		select {
		case <-childish:
		case <-limit.C:
			return
		}
	}
}

func shellCode(s syscall.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
