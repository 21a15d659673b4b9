package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
)

// browse opens a page in the user's browser, and does not wait for that to be closed.
func browse(ctx context.Context, url string) error {
	opener := "xdg-open"
	if runtime.GOOS == "darwin" {
		opener = "open"
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), opener, url)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open %s: %w", url, err)
	}
	go func() { _ = cmd.Wait() }() // it is the user's from now on
	return nil
}
