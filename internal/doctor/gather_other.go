//go:build !linux

package doctor

import "errors"

// guards are Linux's alone.
func (s System) guards() System {
	none := errors.New("this system has nothing like it")
	s.Subreaper, s.DeathSignal, s.Pidfd, s.Cgroup.Err = none, none, none, none
	return s
}

// quotas are not known here.
func quotas() []Quota { return nil }
