package gpu

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	smi(t, `[ "$*" = "--query-gpu=index,uuid,memory.total,memory.used,name --format=csv,noheader,nounits --id=0,1" ] || exit 1
echo "0, GPU-a, 24564, 1024, NVIDIA GeForce RTX 4090"; echo "1, GPU-b, [N/A], [N/A], NVIDIA GB10"`)
	list, err := Find([]string{"CUDA_VISIBLE_DEVICES=0,1"}).List(t.Context())
	want := []Device{
		{Index: 0, UUID: "GPU-a", Name: "NVIDIA GeForce RTX 4090", MemoryBytes: 24564 << 20, MemoryUsedBytes: 1 << 30},
		{Index: 1, UUID: "GPU-b", Name: "NVIDIA GB10"},
	}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("%+v, %v, want %+v", list, err, want)
	}
}

func TestListOfNothing(t *testing.T) {
	if list, err := Find([]string{"CUDA_VISIBLE_DEVICES="}).List(t.Context()); list != nil || err != nil {
		t.Errorf("without devices: %+v, %v", list, err)
	}
	for _, script := range []string{"echo No devices were found; exit 6", "echo No devices were found", "echo 'x, GPU-a, 1, 1, a name'"} {
		smi(t, script)
		if list, err := Find(nil).List(t.Context()); err == nil {
			t.Errorf("%q: %+v and no error", script, list)
		}
	}
}

// While one hangs that even a kill does not end at once, no second one is started.
func TestListAsksOneAtATime(t *testing.T) {
	dir := smi(t, `cd "${0%/*}"; echo >>asked; echo "0, GPU-a, 1024, 1, NVIDIA X"`)
	d := Find(nil)
	for range 3 { // one after the other is no hindrance
		if list, err := d.List(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	}
	d.asking.Add(1)
	if _, err := d.List(t.Context()); !errors.Is(err, errAsking) {
		t.Errorf("while one hangs: %v", err)
	}
	if asked, err := os.ReadFile(filepath.Join(dir, "asked")); err != nil || len(asked) != 3 {
		t.Errorf("it was asked %d times, want 3 (%v)", len(asked), err)
	}
}
