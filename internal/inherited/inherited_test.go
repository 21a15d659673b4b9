package inherited_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/inherited"
)

const heirEnv = "INHERITED_TEST_HEIR"

func TestMain(m *testing.M) {
	if os.Getenv(heirEnv) != "" {
		heir()
	}
	os.Exit(m.Run())
}

// heir says which of the files that it was given it still has, and what of its own.
func heir() {
	own, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	inherited.Close(3)
	for _, f := range []*os.File{os.Stdout, os.NewFile(3, "kept"), os.NewFile(4, "stray"), own} {
		_, err := f.Stat()
		fmt.Print(err == nil, " ")
	}
	os.Exit(0)
}

func TestClose(t *testing.T) {
	t.Parallel()
	stray, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), heirEnv+"=1")
	cmd.ExtraFiles = []*os.File{stray, stray}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "true true false true " {
		t.Errorf("standard output, the kept one, the stray one, its own: %s (%v)", out, err)
	}
}
