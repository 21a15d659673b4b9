package hive_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// TestMain is a main like that of rbee-hive: the test binary is guard, keeper and built-in
// worker, by what it is called.
func TestMain(m *testing.M) {
	guard.Main()
	if name := filepath.Base(os.Args[0]); program.Knows(name) {
		os.Exit(program.Main(name, os.Args[1:]))
	}
	os.Exit(m.Run())
}
