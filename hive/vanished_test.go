package hive_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/launch"
)

// vanish takes a folder away in one step.
func (b *box) vanish(path string) {
	b.t.Helper()
	if err := os.Rename(path, filepath.Join(b.t.TempDir(), "vanished")); err != nil {
		b.t.Fatal(err)
	}
}

// TestRuntimeFolderVanishes: the workers of a hive whose runtime folder was removed are back
// soon, are restarted meanwhile, and can be stopped.
func TestRuntimeFolderVanishes(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	steady, crashing := b.spawn(), b.spawn()
	b.vanish(b.cfg.RuntimeDir)
	b.kill(crashing.PID)
	b.eventually("both are there", func() bool {
		list, err := b.to.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range list {
			if w.Status != "ready" || w.PID == crashing.PID || (w.WorkerID == steady.WorkerID && w.PID != steady.PID) {
				return false
			}
		}
		return len(list) == 2
	})
	for _, id := range []string{steady.WorkerID, crashing.WorkerID} {
		if err := b.to.Stop(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if ids := b.ids(); len(ids) != 0 || !isGone(steady.PID) {
		t.Errorf("stopped, and listed are %v", ids)
	}
}

// TestReadyAndNotFound: a worker that is ready, and runs on, is no failure, though its record
// can't be read.
func TestReadyAndNotFound(t *testing.T) {
	t.Parallel()
	for name, patient := range map[string]bool{"for a moment": true, "for long": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, func(c *hive.Config) {
				if patient {
					c.Tend = time.Second
				}
			})
			op := b.begin(builtin("--load-time=500ms"))
			b.await(op, launch.Spawned)
			l := b.launched(b.operation(op.ID).WorkerID)
			launches := filepath.Join(b.cfg.RuntimeDir, "launches")
			b.vanish(launches)
			if !patient {
				if err := os.WriteFile(launches, []byte("in the way"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			op = b.follow(op.ID, nil)
			if op.Status != client.Succeeded || op.Worker == nil {
				t.Fatalf("it ended as %+v %+v", op, op.Error)
			}
			got := *op.Worker
			if !patient {
				if err := os.Remove(launches); err != nil {
					t.Fatal(err)
				}
			}
			b.eventually("it is listed", func() bool { return len(b.ids()) == 1 })
			want, err := b.to.Worker(t.Context(), l.ID)
			if got.StartedAt = want.StartedAt; err != nil || got != want || want.PID != l.PID {
				t.Errorf("it is told as %+v, and listed as %+v, %v", got, want, err)
			}
			if err := b.to.Stop(t.Context(), l.ID); err != nil {
				t.Error(err)
			}
		})
	}
}
