package logfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// Of the files of a log, only the newest stays open, and in the end none.
func TestFollowCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFollowing(t, filepath.Join(t.TempDir(), "web.log"))
		w := newRotating(t, f.path, 3)
		w.write(1)
		w.rotate()
		w.write(1)
		last := 1
		f.start(&last)
		for range 3 {
			w.rotate()
			w.write(1)
		}
		w.close()
		f.settle()
		if names := open(t, filepath.Dir(f.path)); len(names) != 1 || names[0] != f.path {
			t.Errorf("while it follows: %q", names)
		}
		f.end()
		if names := open(t, filepath.Dir(f.path)); len(names) > 0 {
			t.Errorf("in the end: %q", names)
		}
	})
}

// open are the files in a folder that this process has open.
func open(t *testing.T, dir string) (names []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatalf("%d descriptors, %v", len(links), err)
	}
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil && strings.HasPrefix(name, dir+"/") { // others come and go
			names = append(names, name)
		}
	}
	return names
}
