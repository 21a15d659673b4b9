package registry

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However much changes, it is written every now and then; a date alone hardly ever.
func TestDiskIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int64
		d := newDisk(t.TempDir(), url.URL{Host: "h"}, slog.New(slog.DiscardHandler), func() []onDisk { writes.Add(1); return nil })
		expect := func(what string, want int64) {
			t.Helper()
			synctest.Wait()
			if got := writes.Swap(0); got != want {
				t.Errorf("%s: %d writes, want %d", what, got, want)
			}
		}
		d.learned(true)
		expect("the first answer", 1)
		for range 1000 {
			d.learned(true)
			time.Sleep(55 * time.Second / 1000)
		}
		expect("nearly a busy minute", 5)
		time.Sleep(time.Minute)
		expect("the end of it", 1)
		for range 600 {
			d.learned(false)
			time.Sleep(time.Second)
		}
		expect("ten minutes without a change", 2)
		d.learned(true)
		synctest.Wait()
		d.learned(true)
		expect("one more change", 1)
		before := time.Now()
		d.close()
		expect("the end", 1)
		if waited := time.Since(before); waited != 0 {
			t.Errorf("the end took %v", waited)
		}
		d.close()
		expect("another end", 0)
	})
}

func TestNewest(t *testing.T) {
	at := func(path string, second, size int) onDisk {
		return onDisk{Path: path, AsOf: time.Unix(int64(second), 0), Body: json.RawMessage(make([]byte, size))}
	}
	for _, tt := range []struct {
		name string
		all  []onDisk
		want string
	}{
		{"the newest of each", []onDisk{at("a", 1, 1), at("b", 2, 1), at("a", 3, 1)}, "a3 b2 "},
		{"what is too large leaves room for others", []onDisk{at("a", 3, maxOnDisk+1), at("b", 2, maxOnDisk), at("c", 1, 1), at("d", 0, 0)}, "b2 d0 "},
	} {
		got := ""
		for _, a := range newest(tt.all) {
			got += fmt.Sprint(a.Path, a.AsOf.Unix(), " ")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	many := make([]onDisk, 3*maxKnown)
	for i := range many {
		many[i] = at(fmt.Sprint(i), i, 1)
	}
	if n := len(newest(many)); n != maxKnown {
		t.Errorf("%d answers are kept", n)
	}
}
