//go:build !linux

package main

import "os/exec"

// ownCores is unknown: the servers and the generator share all there are.
func ownCores() []int { return nil }

func startOn(cores []int, cmd *exec.Cmd) error {
	limitCores(cores, cmd)
	return cmd.Start()
}

func stayOn([]int) error { return nil }
