package inventory_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/engines"
	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

func open(t testing.TB, cfg inventory.Config) *inventory.Inventory {
	t.Helper()
	inv := inventory.New(cfg)
	t.Cleanup(func() {
		if err := inv.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return inv
}

func catalog(t *testing.T) *engines.Catalog {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // where nobody has engines of their own
	c, err := engines.Load("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEngines(t *testing.T) {
	inv := open(t, inventory.Config{Catalog: catalog(t), Find: func(program string) ([]string, error) {
		if program == "ollama" {
			return []string{"/bin/ollama"}, nil
		}
		return nil, exec.ErrNotFound
	}})
	m := inv.Look(t.Context())
	if len(m.Engines) != 1 || m.Engines[0].Name != "ollama" || m.Engines[0].Path != "/bin/ollama" {
		t.Errorf("%+v", m.Engines)
	}
}

// Of what takes too long, what was last known is told. The look goes on, those who
// ask meanwhile join it, and Close waits for it.
func TestLookThatTakesLong(t *testing.T) {
	c := catalog(t)
	t.Setenv("PATH", t.TempDir()) // no nvidia-smi: synctest knows nothing of processes
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		hang := make(chan struct{})
		inv := inventory.New(inventory.Config{Catalog: c, Find: func(program string) ([]string, error) {
			if program != "ollama" {
				return nil, exec.ErrNotFound
			}
			if begun.Add(1) > 1 {
				<-hang
			}
			return []string{"/bin/ollama"}, nil
		}})
		if m := inv.Look(t.Context()); len(m.Engines) != 1 || len(m.Problems) != 0 {
			t.Fatalf("the first look: %+v, %q", m.Engines, m.Problems)
		}
		start := time.Now()
		var lookers sync.WaitGroup
		for range 3 {
			lookers.Go(func() {
				m := inv.Look(t.Context())
				if len(m.Engines) != 1 || len(m.Problems) != 1 || !strings.Contains(m.Problems[0], "engines") {
					t.Errorf("a look that takes long: %+v, %q", m.Engines, m.Problems)
				}
			})
		}
		lookers.Wait()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %s", took)
		}
		if n := begun.Load(); n != 2 {
			t.Errorf("%d looks were begun, want the first and one that hangs", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := inv.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closed while a look hangs: %v", err)
		}
		if m := inv.Look(t.Context()); len(m.Engines) != 1 {
			t.Errorf("after Close: %+v", m.Engines)
		}
		close(hang)
		if err := inv.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if m := inv.Look(t.Context()); len(m.Engines) != 1 || begun.Load() != 2 {
			t.Errorf("a look after Close was begun: %+v", m.Engines)
		}
	})
}

func smi(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestDevices(t *testing.T) {
	t.Setenv("CUDA_VISIBLE_DEVICES", "1")
	smi(t, `case "$*" in *--id=1) ;; *) exit 1;; esac; cd "${0%/*}"; [ -e broken ] && { echo broken; exit 9; }
echo "1, GPU-a, 1024, 512, NVIDIA X"`)
	inv := open(t, inventory.Config{Limit: time.Minute})
	if m := inv.Look(t.Context()); len(m.Devices) != 1 || m.Devices[0].MemoryUsedBytes != 512<<20 || len(m.Problems) != 0 {
		t.Errorf("%+v, %q", m.Devices, m.Problems)
	}
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	write(t, filepath.Join(dir, "broken"), nil)
	if m := inv.Look(t.Context()); len(m.Devices) != 1 || len(m.Problems) != 1 || !strings.Contains(m.Problems[0], "broken") {
		t.Errorf("when it fails: %+v, %q", m.Devices, m.Problems)
	}
}

func TestFindDevices(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "kfd"), nil)
	const lists = `echo "0, GPU-a1, 1024, 512, X"; echo "3, GPU-b2, 1024, 512, X"`
	for _, test := range []struct {
		name, smi, visible string
		file               bool // of a GPU
		wanted             string
		err, unsure        string
	}{
		{name: "an index", smi: lists, wanted: "3"},
		{name: "two", smi: lists, wanted: "0,GPU-b"},
		{name: "a part of one", smi: lists, wanted: "MIG-1"},
		{name: "none by that index", smi: lists, file: true, wanted: "0,1", err: `"1" is no GPU of this machine: there are cpu, 0 (X, GPU-a1), 3 (X, GPU-b2)`},
		{name: "a word", smi: lists, wanted: "zzz", err: "is no GPU of this machine"},
		{name: "no GPU", wanted: "0", err: `"0" is none to be had: this machine has no GPU that could be listed (nvidia-smi: executable file not found in $PATH); there is cpu`},
		{name: "no GPU, a part", wanted: "MIG-1", err: "no GPU that could be listed"},
		{name: "no driver", smi: "echo no driver; exit 9", wanted: "0", err: "no driver"},
		{name: "hidden", smi: lists, visible: "-1", wanted: "0", err: "it has none for this hive"},
		{name: "another make's", file: true, wanted: "0", unsure: "nvidia-smi: executable file not found"},
		{name: "a driver that fails", smi: "echo no driver; exit 9", file: true, wanted: "0", unsure: "no driver"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PATH", t.TempDir())
			if test.smi != "" {
				smi(t, test.smi)
			}
			if test.visible != "" {
				t.Setenv("CUDA_VISIBLE_DEVICES", test.visible)
			}
			files := []string{filepath.Dir(file) + "/none"}
			if test.file {
				files = []string{filepath.Dir(file) + "/k*"}
			}
			inv := open(t, inventory.Config{Limit: time.Minute, GPUFiles: files})
			unsure, err := inv.FindDevices(t.Context(), strings.Split(test.wanted, ","))
			says := func(err error, want string) bool {
				return (err == nil) == (want == "") && (err == nil || strings.Contains(err.Error(), want))
			}
			if !says(err, test.err) || !says(unsure, test.unsure) {
				t.Errorf("it is %v, or unsure for %v", err, unsure)
			}
		})
	}
}

// A driver that hangs holds up neither a look nor the end.
func TestDevicesHang(t *testing.T) {
	smi(t, "exec sleep 1000")
	inv := open(t, inventory.Config{Limit: 20 * time.Millisecond})
	if m := inv.Look(t.Context()); len(m.Devices) != 0 || len(m.Problems) == 0 {
		t.Errorf("%+v, %q", m.Devices, m.Problems)
	}
}

// A folder that can't be read is a word in the answer, and not a line in the log with
// every look.
func TestLogOfWhatFails(t *testing.T) {
	var lines strings.Builder
	file := write(t, filepath.Join(t.TempDir(), "file"), nil)
	inv := open(t, inventory.Config{ModelDirs: []string{file}, Log: slog.New(slog.NewTextHandler(&lines, nil)), Limit: time.Minute})
	for range 11 {
		if m := inv.Look(t.Context()); len(m.ModelDirs) != 1 || m.ModelDirs[0].Error == "" {
			t.Fatalf("%+v", m.ModelDirs)
		}
	}
	if n := strings.Count(lines.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want two:\n%s", n, &lines)
	}
}
