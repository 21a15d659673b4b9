//go:build !linux

package main

import (
	"fmt"

	"github.com/rogpeppe/go-internal/testscript"
)

// condition answers what a story asks: there are no containers here.
func condition(name string) (bool, error) {
	if name != "pidns" {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	return false, nil
}

func (s *story) contain(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("containers are Linux's alone")
}
