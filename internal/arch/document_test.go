package arch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// longest is the length, in lines, from which a file had better be two.
const longest = 450

var quoted = regexp.MustCompile("`([^`]+)`")

// rows reads the document's table that has these two columns: what a row's first
// column quotes, and what its second one does.
func rows(t *testing.T, first, second string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	a, b := -1, -1 // the columns, while we are in the table
	for line := range strings.Lines(string(text)) {
		cells := cellsOf(line)
		switch {
		case cells == nil:
			a, b = -1, -1
		case a < 0:
			a, b = slices.Index(cells, first), slices.Index(cells, second)
			if b < 0 {
				a = -1
			}
		default:
			for _, name := range quotedIn(cells[a]) {
				found[name] = quotedIn(cells[b])
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("%s has no table with the columns %q and %q", document, first, second)
	}
	return found
}

// cellsOf splits a line of a table; nil is none.
func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	var cells []string
	for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
		cells = append(cells, strings.TrimSpace(cell))
	}
	return cells
}

func quotedIn(cell string) []string {
	var names []string
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	return names
}

// TestFileLength reads every file, and so it is also what makes "go test" run this
// package again, and not answer from its cache, when a file has changed.
func TestFileLength(t *testing.T) {
	read := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		read++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := strings.Count(string(text), "\n"); n > longest {
			t.Errorf("%s has %d lines, over %d", path, n, longest)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read == 0 {
		t.Error("no file was read")
	}
}
