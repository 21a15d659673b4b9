package hive_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/hive"
	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// TestRestart: a hive that comes back has the workers that it left, as they are, and the
// operations that they came of.
func TestRestart(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.begin(builtin())
	ended := b.follow(op.ID, nil)
	was := *ended.Worker
	b.leave()
	if isGone(was.PID) {
		t.Error("the worker went with the hive")
	}
	b.start()
	list, err := b.to.Workers(t.Context())
	if err != nil || len(list) != 1 || list[0] != was {
		t.Errorf("the workers are %+v, %v, and were %+v", list, err, was)
	}
	var events []string
	again := b.follow(op.ID, func(e client.Event) { events = append(events, e.Name) })
	if !again.StartedAt.Equal(op.StartedAt) || again.EndedAt.Before(op.StartedAt) || again.EndedAt.After(ended.EndedAt) || strings.Join(events, " ") != "leased spawned ready" {
		t.Errorf("it is told as %q, from %v to %v, and was from %v to %v", events, again.StartedAt, again.EndedAt, op.StartedAt, ended.EndedAt)
	}
	if again.Status != client.Succeeded || again.Worker == nil || *again.Worker != was || again.Request.Engine != "builtin" {
		t.Errorf("its operation is %+v", again)
	}
	if err := b.to.Stop(t.Context(), was.WorkerID); err != nil || !isGone(was.PID) {
		t.Errorf("stopped: %v", err)
	}
}

// TestRestartWhileStarting: a start goes on without the hive, whose next life follows it to
// its end; one that fails, or is cancelled then, too.
func TestRestartWhileStarting(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	slow, fails, unwanted := b.begin(builtin("--load-time=2s")), b.begin(builtin("--never-ready")), b.begin(builtin("--never-ready"))
	for _, op := range []client.Operation{slow, fails, unwanted} {
		b.await(op, launch.Spawned)
	}
	pid := b.launched(b.operation(slow.ID).WorkerID).PID
	failing := b.launched(b.operation(fails.ID).WorkerID).PID
	b.leave()
	b.start()
	b.await(fails, launch.Spawned) // it has been found again
	b.kill(failing)
	if err := b.to.Cancel(t.Context(), unwanted.ID); err != nil {
		t.Error(err)
	}
	var events []string
	op := b.follow(slow.ID, func(e client.Event) {
		if e.Seq > 0 {
			events = append(events, e.Name)
		}
	})
	if op.Worker == nil || op.Worker.PID != pid || strings.Join(events, " ") != "leased spawned ready" {
		t.Errorf("the slow one: %q, %+v %+v", events, op, op.Error)
	}
	if op := b.follow(fails.ID, nil); op.Status != client.Failed || op.Error.ExitCode == nil || *op.Error.ExitCode != 137 {
		t.Errorf("the one that was killed: %+v %+v", op, op.Error)
	}
	if op := b.follow(unwanted.ID, nil); op.Status != client.Failed || op.Error.Detail != "the operation was cancelled" || !op.Error.Stopped {
		t.Errorf("the one that was cancelled: %+v %+v", op, op.Error)
	}
	if ids := b.ids(); len(ids) != 1 {
		t.Errorf("the workers are %v", ids)
	}
}

func (b *box) operation(id string) client.Operation {
	b.t.Helper()
	op, err := b.to.Operation(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return op
}

// TestKeeperIsNoHive: who ends the hive by its name does not end the keepers with it.
func TestKeeperIsNoHive(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	dir := fmt.Sprint("/proc/", b.launched(b.spawn().WorkerID).SupervisorPID)
	name, err := os.ReadFile(dir + "/comm")
	if err != nil {
		t.Skip("the name of another process is not to be seen here: ", err)
	}
	line, err := os.ReadFile(dir + "/cmdline")
	if string(name) != "rbee-keeper\n" || !strings.HasPrefix(string(line), "rbee-keeper\x00") {
		t.Errorf("the keeper is called %q, %q, %v", name, line, err)
	}
}

// TestKeeperKilled: a worker whose keeper dies gets another one, and does not notice.
func TestKeeperKilled(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	w := b.spawn()
	keeper := b.launched(w.WorkerID).SupervisorPID
	b.kill(keeper)
	b.eventually("it has another keeper", func() bool {
		list, err := b.to.Workers(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Status == "ready" && b.launched(w.WorkerID).SupervisorPID != keeper
	})
	if l := b.launched(w.WorkerID); l.PID != w.PID || l.InstanceID != w.InstanceID || l.SpawnedBy != "hive-box" {
		t.Errorf("it is %+v, and was %+v", l, w)
	}
	b.eventually("it is counted", func() bool {
		_, _, text := b.ask("GET", "/metrics", "")
		return strings.Contains(text, "\nrbee_hive_adoptions_total 1\n")
	})
	// The new one does what a keeper does.
	b.kill(w.PID)
	b.eventually("it is restarted", func() bool {
		l := b.launched(w.WorkerID)
		return l.Restarts == 1 && l.Status == launch.IsReady && l.PID != w.PID
	})
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil {
		t.Error(err)
	}
}

// TestKeeperKilledWhileStarting: the start goes on with the keeper that the worker gets.
func TestKeeperKilledWhileStarting(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.begin(builtin("--load-time=1s"))
	b.await(op, launch.Spawned)
	l := b.launched(b.operation(op.ID).WorkerID)
	b.kill(l.SupervisorPID)
	var events []string
	op = b.follow(op.ID, func(e client.Event) {
		if e.Seq > 0 {
			events = append(events, e.Name)
		}
	})
	if op.Worker == nil || op.Worker.PID != l.PID || strings.Join(events, " ") != "leased spawned adopted ready" {
		t.Errorf("%q, %+v %+v", events, op, op.Error)
	}
}

// TestKeeperAndGuardKilled: nothing is left of a worker that way, and its start says so.
func TestKeeperAndGuardKilled(t *testing.T) {
	t.Parallel()
	b := newBox(t, func(c *hive.Config) { c.Ports = ports.Range{First: 17900, Last: 17909} }) // that no other test has
	op := b.begin(builtin("--never-ready"))
	b.await(op, launch.Spawned)
	l := b.launched(b.operation(op.ID).WorkerID)
	guard := b.guardOf(l.ID)
	b.kill(l.SupervisorPID, guard)
	if op := b.follow(op.ID, nil); op.Status != client.Failed || !strings.Contains(op.Error.Detail, "killed before it was ready") {
		t.Errorf("it ended as %+v %+v", op, op.Error)
	}
	b.eventually("the worker is gone", func() bool { return isGone(l.PID) })
	if ids := b.ids(); len(ids) != 0 {
		t.Errorf("listed are %v", ids)
	}
	// What is recorded of it hinders nobody.
	req := builtin()
	req.Port = l.Port
	if op := b.follow(b.begin(req).ID, nil); op.Worker == nil || op.Worker.WorkerID != l.ID {
		t.Errorf("at the same port: %+v %+v", op, op.Error)
	}
}

// TestKeeperUpgraded: a keeper that goes on as another version of the program, in the
// midst of a start, loses nothing.
func TestKeeperUpgraded(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.begin(builtin("--load-time=1s"))
	b.await(op, launch.Spawned)
	l := b.launched(b.operation(op.ID).WorkerID)
	r, err := launch.Open(b.cfg.RuntimeDir, l.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Upgrade(t.Context(), b.cfg.Keeper("").Path); err != nil {
		t.Fatal(err)
	}
	op = b.follow(op.ID, nil)
	if op.Worker == nil || op.Worker.PID != l.PID || b.launched(l.ID).SupervisorPID != l.SupervisorPID {
		t.Errorf("%+v %+v, and was %+v", op, op.Error, l)
	}
}

// TestLeaving: who follows an operation or a log when the hive goes is told so, and holds
// nothing up.
func TestLeaving(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	op := b.begin(builtin("--never-ready"))
	b.await(op, launch.Spawned)
	id := b.operation(op.ID).WorkerID
	streams := make(chan string, 3)
	var reading sync.WaitGroup
	for _, path := range []string{"operations/" + op.ID + "/events", "workers/" + id + "/logs?follow=true"} {
		began := make(chan struct{})
		reading.Go(func() { streams <- b.read("/v1/hive/"+path, began) })
		<-began
	}
	b.leave()
	reading.Wait() // streams that are cut are errors
	if all := <-streams + <-streams; !strings.Contains(all, "event: bye\n") {
		t.Errorf("told was %s", all)
	}
	b.start()
	if err := b.to.Cancel(t.Context(), op.ID); err != nil {
		t.Error(err)
	}
}

// TestNoKeeper: a hive whose keepers can't be started says so, and does not try for ever
// as fast as it can.
func TestNoKeeper(t *testing.T) {
	t.Parallel()
	b := newBox(t, nil)
	w := b.spawn()
	b.leave()
	b.kill(b.launched(w.WorkerID).SupervisorPID)
	keeper := b.cfg.Keeper
	b.cfg.Keeper = func(job string) hive.Command { return hive.Command{Path: "/nowhere/at/all", Argv: []string{"x", job}} }
	b.start()
	if op := b.follow(b.begin(builtin()).ID, nil); op.Status != client.Failed || !strings.Contains(op.Error.Detail, "/nowhere/at/all") {
		t.Errorf("it ended as %+v %+v", op, op.Error)
	}
	b.eventually("it is orphaned", func() bool { return b.launched(w.WorkerID).Status == launch.IsOrphaned })
	// It can be stopped all the same.
	if err := b.to.Stop(t.Context(), w.WorkerID); err != nil || !isGone(w.PID) {
		t.Errorf("stopped: %v", err)
	}
	b.cfg.Keeper = keeper
}

// TestRestartWhileRegistering: a start is over when its worker is registered, also for a hive
// that comes back in its midst: before the worker is ready, or after.
func TestRestartWhileRegistering(t *testing.T) {
	t.Parallel()
	open := make(chan struct{})
	reg := serve(t, func(ctx context.Context, ln net.Listener) error {
		<-open // until then nobody is answered
		return server.Run(ctx, ln, server.Config{})
	})
	b := newBox(t, func(c *hive.Config) { c.RegistryURL, c.Registering = reg, time.Hour })
	slow, fast := b.begin(builtin("--load-time=1s")), b.begin(builtin())
	b.await(slow, launch.Spawned)
	b.await(fast, launch.Ready)
	b.leave()
	b.start()
	b.await(slow, launch.Ready)
	close(open)
	for _, op := range []client.Operation{slow, fast} {
		var events []string
		op = b.follow(op.ID, func(e client.Event) {
			if e.Seq > 0 {
				events = append(events, e.Name)
			}
		})
		if op.Worker == nil || !op.Worker.Registry || strings.Join(events, " ") != "leased spawned ready registered" {
			t.Errorf("%q, %+v %+v", events, op.Worker, op.Error)
		}
	}
}
