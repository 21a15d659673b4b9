package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// resolveID finds the id that was typed, whole or as the beginning of one. An id that
// is the beginning of another one is meant itself. Nothing at all is no beginning: it
// is what a variable without a value leaves.
func resolveID(typed string, ids []string) (string, error) {
	if typed == "" {
		return "", cli.WithCode(cli.CodeUsage, errors.New("the id is empty"))
	}
	var fit []string
	for _, id := range ids {
		if id == typed {
			return id, nil
		}
		if strings.HasPrefix(id, typed) {
			fit = append(fit, id)
		}
	}
	switch len(fit) {
	case 1:
		return fit[0], nil
	case 0:
		err := fmt.Errorf("%q is no id, and none begins with it: there is %s", typed, enumerate(ids))
		return "", cli.WithHint(cli.WithCode(cli.CodeFailed, err), "'rbee-launch ps' shows what is launched")
	default:
		err := fmt.Errorf("%q begins more than one id: %s", typed, enumerate(fit))
		return "", cli.WithHint(cli.WithCode(cli.CodeUsage, err), "type more of it")
	}
}

// enumerate names the first few of many.
func enumerate(ids []string) string {
	const most = 10
	ids = slices.Sorted(slices.Values(ids))
	switch more := len(ids) - most; {
	case len(ids) == 0:
		return "none"
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), more)
	default:
		return strings.Join(ids, ", ")
	}
}

// launchedIDs are the ids of what is launched at present. An error tells of records
// that can't be read, beside those that can.
func launchedIDs() ([]string, error) {
	_, all, err := launches()
	var ids []string
	for _, l := range all {
		ids = append(ids, l.ID)
	}
	return ids, err
}
