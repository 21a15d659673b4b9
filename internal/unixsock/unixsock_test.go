package unixsock_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/unixsock"
)

func TestListenAndDial(t *testing.T) {
	for name, dir := range map[string]string{
		"short": t.TempDir(),
		"long":  filepath.Join(t.TempDir(), strings.Repeat("a", 100), strings.Repeat("b", 100)),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "long" && runtime.GOOS != "linux" {
				t.Skip("a path this long can't be had here")
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "web.sock")
			ln, err := unixsock.Listen(path)
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the socket: %v, %v", info, err)
			}
			conn, err := unixsock.Dial(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			other, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(other, "hello"); err != nil {
				t.Fatal(err)
			}
			_ = other.Close()
			if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
				t.Errorf("read %q, %v", got, err)
			}
			_ = conn.Close()
		})
	}
}
