package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

func filled(tb testing.TB, many int) *table {
	tb.Helper()
	t := newTable(usual, clock{time.Now(), time.Now}, newJournal(16, 1<<20))
	t.max, t.maxBytes, t.perAddress = many, many<<11, many
	for i := range many {
		one := registration{Component: registry.Component{Kind: registry.Worker, ID: fmt.Sprintf("w%d", i), Hostname: "h", Port: 1}}
		if err := t.register(context.Background(), &one); err != nil || one.err != nil {
			tb.Fatal(err, one.err)
		}
	}
	return t
}

func TestHeartbeatsAllocateNothing(t *testing.T) {
	table := filled(t, 100)
	lives, verdicts := make([]life, 100), make([]error, 100)
	for i := range lives {
		lives[i].key = key{registry.Worker, fmt.Sprintf("w%d", i)}
	}
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := table.heartbeat(context.Background(), verdicts, lives...); err != nil {
			t.Error(err)
		}
	})
	if allocations != 0 || verdicts[99] != nil {
		t.Errorf("a hundred heartbeats took %v allocations, and the last was answered %v", allocations, verdicts[99])
	}
}

// Who reads while somebody writes does not wait for it.
func TestReadersDoNotWait(t *testing.T) {
	table := filled(t, 10)
	table.mu.Lock()
	defer table.mu.Unlock()
	if v := table.current(); v.revision != 10 || len(v.of(registry.Worker)) != 10 {
		t.Errorf("the view is of revision %d", v.revision)
	}
}

func BenchmarkTable(b *testing.B) {
	table := filled(b, 100_000)
	lives := make([]life, 100_000)
	for i := range lives {
		lives[i].key = key{registry.Worker, fmt.Sprintf("w%d", i*7919%100_000)}
	}
	b.Run("heartbeat", func(b *testing.B) {
		b.ReportAllocs()
		verdict, i := make([]error, 1), 0
		for b.Loop() {
			_, _ = table.heartbeat(context.Background(), verdict, lives[i%len(lives):][:1]...)
			i++
		}
	})
	b.Run("register", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			one := registration{Component: registry.Component{
				Kind: registry.Worker, ID: lives[i%len(lives)].id, Hostname: "h", Port: 2 + i/len(lives)%1000,
			}}
			if err := table.register(context.Background(), &one); err != nil || one.err != nil {
				b.Fatal(err, one.err)
			}
			i++
		}
	})
}
