package hive_test

import (
	"context"
	"os"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry"
)

// A hive that listens on this machine alone. Its keepers are this program, called with
// hive.KeepCommand: see program.Keep.
func Example() {
	ctx := context.Background()
	ln, err := httpd.Listen(ctx, "127.0.0.1:7835")
	if err != nil {
		panic(err)
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	h, err := hive.New(hive.Config{
		RegistryURL: registry.DefaultURL, RuntimeDir: "run", StateDir: "state", ModelDirs: []string{"models"},
		Keeper: func(job string) hive.Command {
			return hive.Command{Path: self, Argv: []string{"rbee-keeper", hive.KeepCommand, job}}
		},
	})
	if err != nil {
		panic(err)
	}
	if err := h.Run(ctx, ln); err != nil {
		panic(err)
	}
}
