package queen

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rbee-launch/rbee-launch/registry"
)

// Three lives of one worker, as ULIDs order them, and the limits of the tests.
const (
	life1 = "01K0000000000000000000000A"
	life2 = "01K0000000000000000000000B"
	life3 = "01K0000000000000000000000C"

	offline = 90 * time.Second
	forget  = 10 * time.Minute
)

// second is a moment, counted from one that is not the zero time.
func second(n int) time.Time { return time.Unix(1_000_000, 0).Add(time.Duration(n) * time.Second) }

func when(now, looked int) clock {
	c := clock{now: second(now), offline: offline, forget: forget}
	if looked >= 0 {
		c.looked = second(looked)
	}
	return c
}

func component(instance string, port int) registry.Component {
	return registry.Component{Kind: registry.Worker, ID: "w", InstanceID: instance, Hostname: "localhost", Port: port}
}

func listedAs(status registry.Status, instance string, port int) registry.Entry {
	return registry.Entry{Component: component(instance, port), Status: status}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		m    member
		at   clock
		want registry.Status
	}{
		{"just known", member{known: second(0)}, when(0, -1), registry.Registered},
		{"known, and silent for just under the limit", member{known: second(0)}, when(89, -1), registry.Registered},
		{"known, and never heard from", member{known: second(0)}, when(90, -1), registry.Offline},
		{"its first beat", member{known: second(0), beat: second(5)}, when(5, -1), registry.Online},
		{"silent for just under the limit", member{beat: second(5)}, when(94, -1), registry.Online},
		{"silent for the limit", member{beat: second(5)}, when(95, -1), registry.Offline},
		{"seen in the registry", member{known: second(0), listed: registry.Online}, when(1, 1), registry.Online},
		{"the registry is away, not for long", member{listed: registry.Online}, when(99, 10), registry.Online},
		{"the registry is away for long", member{listed: registry.Online}, when(100, 10), registry.Offline},
		{"the registry is away, but it beats here", member{listed: registry.Online, beat: second(80)}, when(100, 10), registry.Online},
		{"the registry shows it offline", member{known: second(0), listed: registry.Offline, listedAt: second(20), beat: second(10)}, when(21, 21), registry.Offline},
		{"a beat since denies that", member{listed: registry.Offline, listedAt: second(20), beat: second(21)}, when(22, 22), registry.Online},
		{"the registry that showed it offline has lost its memory", member{known: second(0), offlined: true, listedAt: second(20), beat: second(10), sighted: second(19)}, when(21, 21), registry.Offline},
		{"a beat since denies that, too", member{offlined: true, listedAt: second(20), beat: second(21)}, when(22, 22), registry.Online},
		{"it left the registry, and never beat here", member{known: second(0), left: true, sighted: second(1)}, when(2, 2), registry.Offline},
		{"it left the registry, and beats here", member{left: true, beat: second(1)}, when(2, 2), registry.Online},
		{"silent, but so were we", member{beat: second(0)}, clock{now: second(200), woke: second(199), offline: offline}, registry.Online},
		{"we woke long ago", member{beat: second(0)}, clock{now: second(200), woke: second(110), offline: offline}, registry.Offline},
	} {
		if got := c.m.status(c.at); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestGone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		m    member
		at   clock
		want bool
	}{
		{"registered here", member{known: second(0)}, when(600, -1), false},
		{"offline for long", member{known: second(0)}, when(690, -1), true},
		{"offline for long, but listed", member{known: second(0), listed: registry.Offline}, when(690, 690), false},
		{"left the registry, never beat here", member{known: second(0), left: true}, when(1, 1), true},
		{"left the registry, never beat here, and we just woke", member{left: true}, clock{now: second(1), woke: second(1), offline: offline, forget: forget}, true},
		{"left the registry, beats here", member{left: true, beat: second(0)}, when(89, 89), false},
		{"left the registry, and fell silent here", member{left: true, beat: second(0)}, when(90, 90), true},
	} {
		if got := c.m.gone(c.at); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestStalled(t *testing.T) {
	t.Parallel()
	if stalled(time.Time{}, second(0), offline) || stalled(second(0), second(45), offline) || !stalled(second(0), second(46), offline) {
		t.Error("a gap over half the limit is a stall, and nothing else is")
	}
}

// TestMerge holds what a look at the registry makes of one worker.
func TestMerge(t *testing.T) {
	t.Parallel()
	inEpoch := func(epoch string, m ...member) book {
		b := book{members: map[key]member{}, epoch: epoch, looked: second(9)}
		for _, one := range m {
			b.members[keyOf(one.Component)] = one
		}
		return b
	}
	seen := member{Component: component(life1, 1), known: second(0), listed: registry.Online, listedAt: second(0)}
	dead := member{Component: component(life1, 1), known: second(0), listed: registry.Offline, listedAt: second(1)}
	gone := member{Component: component(life1, 1), known: second(0), offlined: true, listedAt: second(1)}
	direct := member{Component: component(life2, 2), known: second(5), direct: true}
	dismissed := func(instance string) book {
		b := inEpoch("e")
		b.dismissed = map[key]string{{registry.Worker, "w"}: instance}
		return b
	}
	for _, c := range []struct {
		name     string
		before   book
		list     []registry.Entry
		instance string // afterwards; "" is not there
		want     member // listed, left, offlined and direct of it
	}{
		{"someone new", book{}, []registry.Entry{listedAs(registry.Online, life1, 1)}, life1, member{listed: registry.Online}},
		{"the same again", inEpoch("e", seen), []registry.Entry{listedAs(registry.Online, life1, 1)}, life1, member{listed: registry.Online}},
		{"now offline", inEpoch("e", seen), []registry.Entry{listedAs(registry.Offline, life1, 1)}, life1, member{listed: registry.Offline}},
		{"no longer there", inEpoch("e", seen), nil, life1, member{left: true}},
		{"not yet there, in another epoch", inEpoch("old", seen), nil, life1, member{}},
		{"offline, and in another epoch not there", inEpoch("old", dead), nil, life1, member{offlined: true}},
		{"that, and back", inEpoch("e", gone), []registry.Entry{listedAs(registry.Online, life1, 1)}, life1, member{listed: registry.Online}},
		{"a later life", inEpoch("e", seen), []registry.Entry{listedAs(registry.Online, life2, 1)}, life2, member{listed: registry.Online}},
		{"registered here and not there", inEpoch("e", direct), nil, life2, member{direct: true}},
		{"registered in both places", inEpoch("e", direct), []registry.Entry{listedAs(registry.Online, life2, 2)}, life2, member{listed: registry.Online, direct: true}},
		{"its earlier life is still listed", inEpoch("e", direct), []registry.Entry{listedAs(registry.Online, life1, 2)}, life2, member{direct: true}},
		{"its later life is listed", inEpoch("e", direct), []registry.Entry{listedAs(registry.Online, life3, 2)}, life3, member{listed: registry.Online}},
		{"dismissed, but still listed", dismissed(life1), []registry.Entry{listedAs(registry.Online, life1, 1)}, "", member{}},
		{"dismissed, and a later life listed", dismissed(life1), []registry.Entry{listedAs(registry.Online, life2, 1)}, life2, member{listed: registry.Online}},
		{"it had left, and is back", inEpoch("e", member{Component: component(life1, 1), left: true}), []registry.Entry{listedAs(registry.Online, life1, 1)}, life1, member{listed: registry.Online}},
	} {
		after := merge(c.before, registry.Snapshot{Epoch: "e", Workers: c.list}, when(10, 9))
		got, there := after.members[key{registry.Worker, "w"}]
		if there != (c.instance != "") || got.InstanceID != c.instance {
			t.Errorf("%s: it is instance %q (there: %v), want %q", c.name, got.InstanceID, there, c.instance)
		}
		if got.listed != c.want.listed || got.left != c.want.left || got.offlined != c.want.offlined || got.direct != c.want.direct {
			t.Errorf("%s: listed %q, left %v, offlined %v, direct %v", c.name, got.listed, got.left, got.offlined, got.direct)
		}
		if after.epoch != "e" {
			t.Errorf("%s: the book is of epoch %q", c.name, after.epoch)
		}
	}
}

func TestMergeForgetsADismissalOnceTheRegistryDoes(t *testing.T) {
	t.Parallel()
	k := key{registry.Worker, "w"}
	b := book{epoch: "e", dismissed: map[key]string{k: life1}}
	listed := registry.Snapshot{Epoch: "e", Workers: []registry.Entry{listedAs(registry.Online, life1, 1)}}
	if b = merge(b, listed, when(1, 0)); len(b.members) != 0 || b.dismissed[k] != life1 {
		t.Fatalf("while listed: %+v", b)
	}
	if b = merge(b, registry.Snapshot{Epoch: "e"}, when(2, 1)); len(b.dismissed) != 0 {
		t.Fatalf("no longer listed: %+v", b)
	}
	if b = merge(b, listed, when(3, 2)); len(b.members) != 1 {
		t.Fatalf("registered again: %+v", b)
	}
}

func TestMergeKeepsWhatTheListDoesNotSay(t *testing.T) {
	t.Parallel()
	m := member{
		Component: component(life1, 1), spawnedBy: "gui", direct: true, beat: second(5), listed: registry.Online,
		own: map[string]any{"a": 1}, ask: inquiry{settled: true},
	}
	b := book{members: map[key]member{keyOf(m.Component): m}, epoch: "e", looked: second(9)}
	same := merge(b, registry.Snapshot{Epoch: "e", Workers: []registry.Entry{listedAs(registry.Offline, life1, 1)}}, when(10, 9))
	got := same.members[keyOf(m.Component)]
	if got.spawnedBy != "gui" || !got.beat.Equal(second(5)) || got.own == nil || !got.ask.settled {
		t.Errorf("a change of status lost what was known: %+v", got)
	}
	if !got.sighted.Equal(second(9)) {
		t.Errorf("it was last seen online at %v", got.sighted)
	}
	moved := merge(b, registry.Snapshot{Epoch: "e", Workers: []registry.Entry{listedAs(registry.Online, life1, 2)}}, when(10, 9))
	if got := moved.members[keyOf(m.Component)]; got.ask.settled {
		t.Error("at its new address it is not asked for its capabilities")
	}
	if len(b.members) != 1 || b.members[keyOf(m.Component)].Port != 1 {
		t.Error("merge changed the book that it was given")
	}
}

// Whatever the lists and whatever is known besides: what changes is all that has to be looked
// at.
func TestAmendIsMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := func(name string) (list []registry.Entry) {
			for _, id := range []string{"a", "b", "c", "d"} {
				if status := rapid.SampledFrom([]registry.Status{"", registry.Online, registry.Offline}).Draw(t, name); status != "" {
					e := listedAs(status, rapid.SampledFrom([]string{life1, life2, life3}).Draw(t, "life"), rapid.IntRange(1, 2).Draw(t, "port"))
					e.ID = id
					list = append(list, e)
				}
			}
			return list
		}
		before := registry.Snapshot{Epoch: "e", Revision: 1, Workers: list("before")}
		after := registry.Snapshot{Epoch: "e", Revision: 2, Workers: list("after")}
		b := book{members: map[key]member{}, epoch: "e", dismissed: map[key]string{}}
		for _, id := range []string{"a", "b", "c"} {
			own := component(rapid.SampledFrom([]string{life1, life2, life3}).Draw(t, "held"), 1)
			own.ID = id
			switch rapid.SampledFrom([]string{"", "direct", "dismissed"}).Draw(t, "known") {
			case "direct":
				b.members[keyOf(own)] = member{Component: own, direct: true, known: second(5), beat: second(6)}
			case "dismissed":
				b.dismissed[keyOf(own)] = own.InstanceID
			}
		}
		b = merge(b, before, when(7, 7))
		want := merge(b, after, when(8, 8))
		b.amend(before, after, when(8, 8))
		if !reflect.DeepEqual(b, want) {
			t.Errorf("amended:\n%+v\nmerged:\n%+v", b, want)
		}
	})
}

// told is a view of a registry that knows one worker.
func told(revision uint64, status registry.Status, asOf int, cause error) registry.View {
	return registry.View{
		Snapshot:  registry.Snapshot{Epoch: "e", Revision: revision, Workers: []registry.Entry{listedAs(status, life1, 1)}},
		Connected: cause == nil, Cause: cause, AsOf: second(asOf),
	}
}

// A registration without an instance replaces what the list said of that id; the
// list is unchanged, and has to be merged again.
func TestARegistrationDoesNotHideTheList(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*table){
		"by the next view":  func(tb *table) { tb.learn(second(3), told(1, registry.Online, 3, nil)) },
		"by the next sweep": func(tb *table) { tb.sweep(second(3)) },
	} {
		tb := newTable(Config{}.withDefaults())
		if !tb.learn(second(0), told(1, registry.Online, 0, nil)) || tb.learn(second(1), told(1, registry.Online, 1, nil)) {
			t.Fatal("the first view is news, the second is none")
		}
		if _, err := tb.register(second(2), member{Component: component("", 2)}); err != nil {
			t.Fatal(err)
		}
		again(tb)
		if got := tb.workers(second(3)); got[0].InstanceID != life1 || got[0].Status != registry.Online {
			t.Errorf("%s: the worker is %+v", name, got[0])
		}
	}
}

// The life that is dismissed may have hidden one that the list has.
func TestADismissalDoesNotHideTheList(t *testing.T) {
	t.Parallel()
	tb := newTable(Config{}.withDefaults())
	tb.learn(second(0), told(1, registry.Online, 0, nil))
	if _, err := tb.register(second(1), member{Component: component(life2, 2)}); err != nil {
		t.Fatal(err)
	}
	tb.sweep(second(2))
	if err := tb.dismiss("w", life2); err != nil {
		t.Fatal(err)
	}
	tb.sweep(second(3))
	if list := tb.workers(second(3)); len(list) != 1 || list[0].InstanceID != life1 {
		t.Errorf("the workers are %+v", list)
	}
	if err := tb.dismiss("w", life1); err != nil {
		t.Fatal(err)
	}
	tb.sweep(second(4))
	if list := tb.workers(second(4)); len(list) != 0 {
		t.Errorf("the workers are %+v", list)
	}
}

// Each view is of the registry as it is, was when it went away, or was before our own life.
func TestLearn(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	untried := told(1, registry.Online, 0, away)
	untried.Cause = nil
	nothing := registry.View{Cause: away}
	for _, c := range []struct {
		name  string
		views []registry.View // at 0 s, 1 s, ...
		at    int             // s
		want  registry.Status // "" is not known
		seen  int             // s, when it was last seen; -1 is never
	}{
		{"nothing is known", []registry.View{nothing}, 1, "", 0},
		{"not asked yet", []registry.View{untried}, 1, "", 0},
		{"connected", []registry.View{told(1, registry.Online, 0, nil)}, 1, registry.Online, 1},
		{"connected, and nothing new for long", []registry.View{told(1, registry.Online, 0, nil)}, 500, registry.Online, 500},
		{"gone since", []registry.View{told(1, registry.Online, 0, nil), told(1, registry.Online, 0, away)}, 89, registry.Online, 0},
		{"gone for long", []registry.View{told(1, registry.Online, 0, nil), told(1, registry.Online, 0, away)}, 90, registry.Offline, 0},
		{"changed, and gone at once", []registry.View{told(1, registry.Online, 0, nil), told(2, registry.Offline, 0, away)}, 2, registry.Offline, 1},
		{"back again", []registry.View{told(1, registry.Online, 0, nil), told(1, registry.Online, 0, away), told(1, registry.Online, 2, nil)}, 100, registry.Online, 100},
		{"known from an earlier life", []registry.View{untried, told(1, registry.Online, -9, away)}, 2, registry.Registered, -1},
		{"the same, for long", []registry.View{untried, told(1, registry.Online, -9, away)}, 91, registry.Offline, -1},
		{"the same, and confirmed", []registry.View{told(1, registry.Online, -9, away), told(1, registry.Online, 1, nil)}, 2, registry.Online, 2},
	} {
		tb := newTable(Config{}.withDefaults())
		for i, v := range c.views {
			tb.learn(second(i), v)
		}
		list := tb.workers(second(c.at))
		switch {
		case len(list) == 0:
			if c.want != "" {
				t.Errorf("%s: it is not known", c.name)
			}
		case list[0].Status != c.want || !list[0].LastSeen.Equal(second(c.seen)) && c.seen >= 0 || list[0].LastSeen.IsZero() != (c.seen < 0):
			t.Errorf("%s: it is %s, last seen at %v; want %s, %d", c.name, list[0].Status, list[0].LastSeen, c.want, c.seen)
		}
	}
}

func TestSameLife(t *testing.T) {
	t.Parallel()
	at := func(host, instance string, port int) registry.Component {
		return registry.Component{ID: "w", Hostname: host, InstanceID: instance, Port: port}
	}
	for _, c := range []struct {
		a, b registry.Component
		want bool
	}{
		{at("a", life1, 1), at("b", life1, 2), true},
		{at("a", life1, 1), at("a", life2, 1), false},
		{at("a", life1, 1), at("a", "", 1), true},
		{at("a", "", 1), at("a", "", 2), false},
		{at("a", "", 1), at("b", "", 1), false},
		{at("localhost", "", 1), at("127.0.0.1", life1, 1), true},
	} {
		if got := sameLife(c.a, c.b); got != c.want {
			t.Errorf("%+v and %+v: %v", c.a, c.b, got)
		}
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"localhost", "127.0.0.1", "localhost"},
		{"localhost", "10.0.0.7", "10.0.0.7"},
		{"127.0.0.1", "::ffff:10.0.0.7", "10.0.0.7"},
		{"[::1]", "fe80::1%eth0", "fe80::1"},
		{"0.0.0.0", "127.0.0.1", "127.0.0.1"},
		{"box2", "10.0.0.7", "box2"},
		{"localhost", "box1", "box1"},
	} {
		if got := registry.Reachable(c[0], c[1]); got != c[2] {
			t.Errorf("%s as %s tells is %s, want %s", c[0], c[1], got, c[2])
		}
	}
}
