//go:build !linux

package main

func newWaiter() (waiter, error) { return newSleeper() }
