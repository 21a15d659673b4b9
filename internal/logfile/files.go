package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// suffix is how the name of each log ends, rotated or not.
const suffix = ".log"

// Path is where the log of a launch is kept in the folder of all logs.
func Path(dir, id string) string { return filepath.Join(dir, url.PathEscape(id)+suffix) }

// launcherSuffix is how the name of a launcher's own log ends.
const launcherSuffix = ".launcher" + suffix

// LauncherPath is where the launcher of a launch keeps a log of its own, which is none
// of a child.
func LauncherPath(dir, id string) string {
	return filepath.Join(dir, url.PathEscape(id)+launcherSuffix)
}

// IDs lists whose logs there are in a folder, sorted. A folder that does not exist has
// none.
func IDs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the logs: %w", err)
	}
	var ids []string
	for _, e := range entries {
		stem, isLog := strings.CutSuffix(e.Name(), suffix)
		if _, isOld := parseRotated(e.Name()); !isLog || isOld || strings.HasSuffix(e.Name(), launcherSuffix) {
			continue
		}
		if id, err := url.PathUnescape(stem); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// rotated is what the name of a rotated file says: web-2026-11-23T15-04-05.000-size.log
// is of web.log, and size_1 in place of size the second one of that millisecond.
type rotated struct {
	name string
	of   string // the name of the log
	at   string // when; sorts as it is
	nth  int    // of those at that time
}

func parseRotated(name string) (r rotated, ok bool) {
	const layout = "2006-01-02T15-04-05.000"
	stem, isLog := strings.CutSuffix(name, suffix)
	end := strings.LastIndexByte(stem, '-')
	start := end - len(layout)
	if !isLog || start < 1 || stem[start-1] != '-' {
		return r, false
	}
	at, reason := stem[start:end], stem[end+1:]
	if _, err := time.Parse(layout, at); err != nil {
		return r, false
	}
	r = rotated{name: name, of: stem[:start-1] + suffix, at: at}
	if _, nth, numbered := strings.Cut(reason, "_"); numbered {
		r.nth, _ = strconv.Atoi(nth) // a reason of several words is the first one
	}
	return r, true
}

// rotatedFiles are the names of the files that were rotated out of a log, oldest first.
func rotatedFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var found []rotated
	for _, e := range entries {
		if r, ok := parseRotated(e.Name()); ok && r.of == filepath.Base(path) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b rotated) int {
		return cmp.Or(strings.Compare(a.at, b.at), cmp.Compare(a.nth, b.nth), strings.Compare(a.name, b.name))
	})
	names := make([]string, len(found))
	for i, r := range found {
		names[i] = r.name
	}
	return names, nil
}
