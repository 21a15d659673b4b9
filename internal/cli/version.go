package cli

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// VersionCmd is the version command of every program.
type VersionCmd struct {
	JSON bool `help:"Print one JSON object."`
}

// Run prints the version.
func (c *VersionCmd) Run(call *Call) error {
	if c.JSON {
		return json.NewEncoder(call.Stdout).Encode(map[string]string{
			"version": Version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		})
	}
	_, err := fmt.Fprintf(call.Stdout, "%s %s (%s, %s/%s)\n", call.Parsed.Model.Name, Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// Version is the module's version and the commit it was built from, as far as the
// build recorded them.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(version, s.Value[:12]) {
			version += " " + s.Value[:12]
		}
	}
	return version
}
