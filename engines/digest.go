package engines

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// remembered is a digest as it is kept: right as long as the file is the same.
type remembered struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Mtime  int64  `json:"mtime_ns"`
	SHA256 string `json:"sha256"`
}

// fileDigest is the SHA-256 of the file at path, in hex. It takes seconds per GB, so
// it is remembered under stateDir by path, size and time of change. The memory is a
// help, nothing more: what can't be read or written there is computed again.
func fileDigest(ctx context.Context, path, stateDir string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("compute the digest: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("compute the digest: %w", err)
	}
	now := remembered{Path: path, Size: info.Size(), Mtime: info.ModTime().UnixNano()}
	memory := ""
	if stateDir != "" {
		key := sha256.Sum256([]byte(path))
		memory = filepath.Join(stateDir, "digests", hex.EncodeToString(key[:8])+".json")
		if sum, ok := recall(memory, now); ok {
			return sum, nil
		}
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, untilDone(ctx, f)); err != nil {
		return "", fmt.Errorf("compute the digest of %s: %w", path, err)
	}
	now.SHA256 = hex.EncodeToString(hash.Sum(nil))
	if memory != "" {
		_ = remember(memory, now)
	}
	return now.SHA256, nil
}

func recall(memory string, now remembered) (string, bool) {
	body, err := os.ReadFile(memory)
	if err != nil {
		return "", false
	}
	var then remembered
	if json.Unmarshal(body, &then) != nil || len(then.SHA256) != hex.EncodedLen(sha256.Size) {
		return "", false
	}
	now.SHA256 = then.SHA256
	return then.SHA256, then == now
}

// remember replaces the file as a whole: other launchers may be reading it.
func remember(memory string, now remembered) error {
	if err := os.MkdirAll(filepath.Dir(memory), 0o700); err != nil {
		return err
	}
	body, err := json.Marshal(now)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(memory), ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(body, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), memory)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// readerFunc is a Read by itself.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// untilDone is r until ctx ends, so that a long read can be given up.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}
