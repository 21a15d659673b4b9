package queen

import (
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

// TestLastHeard: of whom the registry calls offline we say when it was heard last, whatever clock
// the registry goes by, and beats to us alone count from when it fell silent there.
func TestLastHeard(t *testing.T) {
	t.Parallel()
	for _, skew := range []int{0, -5000, 5000} {
		for _, c := range []struct {
			name string
			beat int // to her; -1 is none
			want registry.Status
			seen int
		}{
			{"it beats to the registry alone", -1, registry.Offline, 13},
			{"it is dead", 10, registry.Offline, 13},
			{"it is dead, and beat here last", 27, registry.Offline, 27},
			{"it beats here alone", 30, registry.Online, 30},
		} {
			tb := newTable(Config{}.withDefaults())
			view := func(revision uint64, status registry.Status, seen int) registry.View {
				v := told(revision, status, 0, nil)
				v.Snapshot.Workers[0].LastSeen = second(seen + skew)
				return v
			}
			tb.learn(second(0), view(1, registry.Online, 0))
			if c.beat >= 0 {
				if err := tb.heartbeat(second(c.beat), "w", life1); err != nil {
					t.Fatal(err)
				}
			}
			if got := tb.workers(second(42))[0]; got.Status != registry.Online || !got.LastSeen.Equal(second(42)) {
				t.Errorf("%s, and is online: %s, %v", c.name, got.Status, got.LastSeen)
			}
			tb.learn(second(43), view(2, registry.Offline, 13))
			got := tb.workers(second(60))[0]
			if got.Status != c.want || !got.LastSeen.Equal(second(c.seen)) {
				t.Errorf("%s, skew %d s: it is %s, last seen at %v; want %s, %v", c.name, skew, got.Status, got.LastSeen, c.want, second(c.seen))
			}
			// It is forgotten there, and what is said of it stays true.
			v := told(3, registry.Offline, 0, nil)
			v.Snapshot.Epoch, v.Snapshot.Workers = "another", nil
			tb.learn(second(61), v)
			if got := tb.workers(second(62))[0]; got.Status != c.want || !got.LastSeen.Equal(second(c.seen)) {
				t.Errorf("%s, and the registry is another: it is %s, last seen at %v", c.name, got.Status, got.LastSeen)
			}
		}
	}
}

// TestOffset: the queen's own registration, which the registry tells her of at once, is the best
// measure of its clock there is.
func TestOffset(t *testing.T) {
	t.Parallel()
	tb := newTable(Config{}.withDefaults())
	v := told(1, registry.Offline, 0, nil)
	v.Snapshot.Workers[0].LastSeen = second(0) // 40 s ago
	v.Snapshot.Queen = &registry.Entry{LastSeen: second(40)}
	tb.learn(second(40), v)
	if got := tb.workers(second(50))[0].LastSeen; !got.Equal(second(0)) {
		t.Errorf("it was last seen at %v", got)
	}
}
