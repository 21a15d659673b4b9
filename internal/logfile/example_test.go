package logfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/internal/logfile"
)

func Example() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	old := "2026-11-23T15:04:05.000Z stdout loading\n2026-11-23T15:04:06.000Z stderr half of it is free\n"
	now := "2026-11-23T15:04:07.000Z stdout listening on 8080\n"
	_ = os.WriteFile(filepath.Join(dir, "web-2026-11-23T15-04-06.500-size.log"), []byte(old), 0o600)
	_ = os.WriteFile(logfile.Path(dir, "web"), []byte(now), 0o600)

	last := 2
	err = logfile.Read(context.Background(), logfile.Config{
		Path: logfile.Path(dir, "web"),
		Tail: &last,
		OnLines: func(lines []logfile.Line) error {
			for _, l := range lines {
				fmt.Println(l.Stream, l.Text)
			}
			return nil
		},
	})
	fmt.Println(err)
	// Output:
	// stderr half of it is free
	// stdout listening on 8080
	// <nil>
}
