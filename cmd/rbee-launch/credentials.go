package main

import (
	"github.com/rbee-launch/rbee-launch/internal/credentials"
	"github.com/rbee-launch/rbee-launch/internal/program"
)

// credentialFlags are what servers on other machines are shown, and known by.
type credentialFlags struct {
	TokenFile string `help:"The token for servers on other machines (default: \"token\" in the state folder, if it is there)." placeholder:"FILE"`
	program.Trust
}

func (f credentialFlags) read() (credentials.Shown, error) { return f.Shown(f.TokenFile) }
