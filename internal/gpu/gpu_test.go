package gpu

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// smi puts a shell script on PATH as nvidia-smi.
func smi(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

func TestFind(t *testing.T) {
	smi(t, "exit 1")
	for _, test := range []struct {
		env  []string
		ids  string
		none bool
	}{
		{env: nil},
		{env: []string{"CUDA_VISIBLE_DEVICES=0,1"}, ids: "0,1"},
		{env: []string{"CUDA_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES=GPU-1"}, ids: "GPU-1"},
		{env: []string{"CUDA_VISIBLE_DEVICES="}, none: true},
		{env: []string{"CUDA_VISIBLE_DEVICES=-1"}, none: true},
	} {
		d := Find(test.env)
		if (d == nil) != test.none || (d != nil && d.ids != test.ids) {
			t.Errorf("%q: %+v", test.env, d)
		}
	}
	if _, err := Look([]string{"CUDA_VISIBLE_DEVICES="}); !errors.Is(err, ErrHidden) {
		t.Errorf("hidden: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if d := Find(nil); d != nil {
		t.Errorf("without nvidia-smi: %+v", d)
	}
	if _, err := Look(nil); !errors.Is(err, ErrNoDriver) {
		t.Errorf("without nvidia-smi: %v", err)
	}
}

func TestUsed(t *testing.T) {
	smi(t, `[ "$*" = "--query-gpu=uuid,memory.used --format=csv,noheader,nounits --id=0,1" ] || exit 1
echo "GPU-a, 1024"; echo "GPU-b, [N/A]"; echo "GPU-c, 0"`)
	used, err := Find([]string{"CUDA_VISIBLE_DEVICES=0,1"}).Used(t.Context())
	if want := (Memory{"GPU-a": 1 << 30, "GPU-c": 0}); err != nil || !maps.Equal(used, want) {
		t.Errorf("%v, %v, want %v", used, err, want)
	}
}

func TestUsedOfNothing(t *testing.T) {
	for _, script := range []string{"echo No devices were found; exit 6", "echo 'GPU-a, [N/A]'"} {
		smi(t, script)
		if used, err := Find(nil).Used(t.Context()); err == nil {
			t.Errorf("%q: %v and no error", script, used)
		}
	}
}

// One that hangs, as it does when the driver has crashed, holds nobody up.
func TestUsedHangs(t *testing.T) {
	smi(t, "exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Find(nil).Used(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestSettled(t *testing.T) {
	const gb = 1 << 30
	type answer struct {
		at   time.Duration
		used Memory
	}
	for _, test := range []struct {
		name    string
		before  Memory
		answers []answer
		settled int // the answer that ends the wait; -1 for none
	}{
		{"free at once", Memory{"a": gb}, []answer{{0, Memory{"a": gb}}}, 0},
		{"nearly", Memory{"a": gb}, []answer{{0, Memory{"a": gb + slack}}}, 0},
		{"falls", Memory{"a": 0}, []answer{{0, Memory{"a": 3 * gb}}, {steady, Memory{"a": gb}}, {2 * steady, Memory{"a": 0}}}, 2},
		{"late", Memory{"a": 0}, []answer{{0, Memory{"a": gb}}, {steady - 1, Memory{"a": gb}}, {steady, Memory{"a": gb}}}, 2},
		{"goes on falling", Memory{"a": 0}, []answer{{0, Memory{"a": 3 * gb}}, {steady, Memory{"a": 2 * gb}}, {2*steady - 1, Memory{"a": 2 * gb}}}, -1},
		{"another's grows", Memory{"a": 0, "b": 0}, []answer{{0, Memory{"a": 0, "b": gb}}, {steady, Memory{"a": 0, "b": 2 * gb}}}, 1},
		{"one of two", Memory{"a": 0, "b": 0}, []answer{{0, Memory{"a": 0, "b": gb}}}, -1},
	} {
		var h history
		start, got := time.Now(), -1
		for i, a := range test.answers {
			if h.settled(start.Add(a.at), test.before, a.used) {
				got = i
				break
			}
		}
		if got != test.settled {
			t.Errorf("%s: settled by answer %d, want %d", test.name, got, test.settled)
		}
	}
}

// The fake device has its memory free after a few questions.
func TestSettle(t *testing.T) {
	dir := smi(t, `cd "${0%/*}"; echo >>asked; [ $(wc -l <asked) -lt 4 ] && echo "GPU-a, 5000" || echo "GPU-a, 10"`)
	var waited []int64
	used, settled, err := Find(nil).Settle(t.Context(), Memory{"GPU-a": 10 << 20}, func(left int64) { waited = append(waited, left) })
	if err != nil || !settled || used["GPU-a"] != 10<<20 {
		t.Errorf("%v, %v, %v", used, settled, err)
	}
	if len(waited) != 1 || waited[0] != 4990<<20 {
		t.Errorf("waiting was told of %v", waited)
	}
	if asked, err := os.ReadFile(filepath.Join(dir, "asked")); err != nil || len(asked) != 4 {
		t.Errorf("it was asked %d times (%v)", len(asked), err)
	}
}

func TestSettleEndsWithItsContext(t *testing.T) {
	smi(t, `echo "GPU-a, 5000"`)
	ctx, cancel := context.WithCancel(t.Context())
	_, settled, err := Find(nil).Settle(ctx, Memory{"GPU-a": 0}, func(int64) { cancel() })
	if settled || err != nil {
		t.Errorf("settled: %v, %v", settled, err)
	}
}
