package engines_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/engines"
)

func TestFileDigest(t *testing.T) {
	path, state := filepath.Join(t.TempDir(), "model"), t.TempDir()
	when := time.Unix(1_700_000_000, 123)
	write := func(content string, when time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, state, content string) {
		t.Helper()
		sum := sha256.Sum256([]byte(content))
		got, err := engines.FileDigest(t.Context(), path, state)
		if err != nil || got != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %s, %v, want the digest of %q", what, got, err, content)
		}
	}
	write("first", when)
	check("new file", state, "first")
	write("other", when) // same size and time: only a digest that was remembered is the old one
	check("unchanged by its looks", state, "first")
	check("without a memory", "", "other")
	write("other", when.Add(time.Nanosecond))
	check("another time", state, "other")
	write("longer", when.Add(time.Nanosecond))
	check("another size", state, "longer")

	kept, err := filepath.Glob(filepath.Join(state, "digests", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("the memory is %v, %v, want one file", kept, err)
	}
	if err := os.WriteFile(kept[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("damaged memory", state, "longer")
	check("memory that can't be", filepath.Join(path, "x"), "longer")
}

func TestFileDigestIsGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engines.FileDigest(ctx, path, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}
