package doctor

import (
	"fmt"
	"strings"
)

// Engines are the model servers on this machine.
type Engines struct {
	Installed []string
	Err       error // of the user's own file of profiles
}

func engines(e Engines) Finding {
	switch {
	case e.Err != nil:
		return bad("engines", e.Err.Error(), "correct the file; engines/profiles.yaml explains the form")
	case len(e.Installed) == 0:
		return warn("engines", "none is installed: there is the built-in simulation alone, which runs no model", "'rbee-launch engines' says how to get each")
	default:
		return ok("engines", strings.Join(e.Installed, ", "))
	}
}

// Leftovers are what earlier launches have left.
type Leftovers struct {
	Found []Leftover
	Err   error // why that is unknown, or not all known
}

// Leftover is a thing that a launch has left which did not come to its end.
type Leftover struct {
	What string // "web: its launcher and its guard were killed"
	Fix  string // the command that clears it
}

func leftovers(l Leftovers) []Finding {
	const check = "leftovers"
	var findings []Finding
	for _, found := range l.Found {
		findings = append(findings, warn(check, found.What, found.Fix))
	}
	if l.Err != nil {
		findings = append(findings, bad(check, fmt.Sprintf("not all can be looked at: %v", l.Err), "see the check of the runtime folder"))
	}
	if findings == nil {
		findings = append(findings, ok(check, "nothing of earlier launches is left"))
	}
	return findings
}
