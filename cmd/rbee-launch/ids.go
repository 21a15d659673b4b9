package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/cli"
)

// resolveID completes what the user typed.
func resolveID(typed string, ids []string) (string, error) {
	if slices.Contains(ids, typed) {
		return typed, nil
	}
	var found []string
	for _, id := range ids {
		if strings.HasPrefix(id, typed) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", cli.WithCode(cli.CodeFailed, fmt.Errorf("no launch has the id %s", typed))
	default:
		return "", cli.WithCode(cli.CodeUsage, fmt.Errorf("%s may be %s", typed, strings.Join(found, " or ")))
	}
}
