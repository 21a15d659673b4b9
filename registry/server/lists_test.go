package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

func TestMetadataChooses(t *testing.T) {
	a := newAPI(t, server.Config{})
	for _, body := range []string{
		`{"worker_id":"a","hostname":"h","port":1,"metadata":{"zone":"a","gpus":2,"spot":true,"odd":null,"tags":["x"]}}`,
		`{"worker_id":"b","hostname":"h","port":2,"metadata":{"zone":"b","gpus":2}}`,
		`{"worker_id":"c","hostname":"h","port":3}`,
		`{"hive_id":"h","hostname":"h","port":7835,"metadata":{"zone":"a"}}`,
	} {
		a.want(200, a.post("register", body))
	}
	for path, want := range map[string]string{
		"workers?metadata.zone=a":                 "a",
		"workers?metadata.gpus=2":                 "a b",
		"workers?metadata.gpus=2&metadata.zone=b": "b",
		"workers?metadata.spot=true":              "a",
		"workers?metadata.odd=null":               "a",
		"workers?metadata.tags=x":                 "", // a list is no value
		"workers?metadata.zone=":                  "",
		"workers?metadata.none=x":                 "",
		"hives?metadata.zone=a":                   "h",
		"hives?status=offline":                    "",
	} {
		if got := a.ids(path); got != want {
			t.Errorf("%s lists %q, want %q", path, got, want)
		}
	}
	all := a.want(200, a.get("components?component_type=hive&metadata.zone=a"))
	if len(all["hives"].([]any)) != 1 || len(all["workers"].([]any)) != 0 {
		t.Errorf("of all hives in zone a there are %v", all)
	}
}

// Page by page, with what the answers name as the next one, everybody is listed once.
func TestPages(t *testing.T) {
	a := newAPI(t, server.Config{})
	want := []string{}
	for i := range 25 {
		id := fmt.Sprintf("w&%02d", i)
		want = append(want, id)
		a.want(200, a.post("register", fmt.Sprintf(`{"worker_id":%q,"hostname":"h","port":1,"model":"m"}`, id)))
	}
	a.want(200, a.post("register", `{"worker_id":"w&100","hostname":"h","port":1,"model":"n"}`))
	for _, limit := range []int{1, 7, 24, 25, 26} {
		got, pages := []string{}, 0
		for path := fmt.Sprintf("workers?limit=%d&model=m", limit); path != ""; pages++ {
			r := a.get(path)
			var list []registry.Entry
			if err := json.Unmarshal(r.body, &list); err != nil || len(list) > limit {
				t.Fatalf("%s lists %s", path, r.body)
			}
			for _, e := range list {
				got = append(got, e.ID)
			}
			link, more := strings.CutPrefix(r.header.Get("Link"), "</v1/registry/")
			if path = strings.TrimSuffix(link, `>; rel="next"`); more && path == link {
				t.Fatalf("the link is %q", link)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || pages != (25+limit-1)/limit {
			t.Errorf("in pages of %d, %d of them, there are %v", limit, pages, got)
		}
	}
	for _, bad := range []string{"workers?limit=0", "workers?limit=-1", "workers?limit=x", "workers?limit=100001", "components?limit=1"} {
		if p := a.want(422, a.get(bad)); p["field"] != "limit" {
			t.Errorf("%s: %v", bad, p)
		}
	}
	if got := a.ids("workers?after=" + url.QueryEscape("w&23")); got != "w&24" {
		t.Errorf("after w&23 come %q", got)
	}
}

func TestListsAreCompressedForWhoAsks(t *testing.T) {
	a := newAPI(t, server.Config{})
	if r := a.get("workers", "Accept-Encoding", "gzip"); r.header.Get("Content-Encoding") != "" {
		t.Error("an empty list is compressed")
	}
	for i := range 50 {
		a.want(200, a.post("register", fmt.Sprintf(`{"worker_id":"w%d","hostname":"h","port":1}`, i)))
	}
	plain := a.get("workers")
	for accept, zipped := range map[string]bool{
		"gzip": true, "br, GZIP": true, "*": true, "gzip;q=0.1": true,
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.0": false, "identity": false, "gzip;q=x": false,
	} {
		r := a.get("workers", "Accept-Encoding", accept)
		body := r.body
		if zipped {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatalf("%q: %v", accept, err)
			}
			if body, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain.body) || (r.header.Get("Content-Encoding") == "gzip") != zipped || r.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v, and the bodies are the same: %v", accept, r.header, bytes.Equal(body, plain.body))
		}
	}
}

// A list may be as old as its revision, but when somebody was seen last is not.
func TestLastSeenMovesWithoutARevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAPI(t, server.Config{})
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`))
		began := lastSeen(t, a)
		time.Sleep(10 * time.Second)
		a.want(200, a.post("heartbeat", `{"worker_id":"w"}`))
		if got := lastSeen(t, a).Sub(began); got != 10*time.Second || a.revision() != 1 {
			t.Errorf("after a heartbeat it was last seen %v later, at revision %v", got, a.revision())
		}
	})
}

func lastSeen(t *testing.T, a api) time.Time {
	t.Helper()
	var list []registry.Entry
	if err := json.Unmarshal(a.get("workers").body, &list); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0].LastSeen
}

// A wall clock that jumps changes what times are called, and nothing else.
func TestTheWallClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server.New(server.Config{})
		a := api{t, s.Handler()}
		a.want(200, a.post("register", `{"worker_id":"w","hostname":"h","port":1}`))
		for _, jump := range []time.Duration{0, 365 * 24 * time.Hour, -365 * 24 * time.Hour, -time.Minute, time.Minute} {
			s.Wall(func() time.Time { return time.Now().Add(jump) })
			time.Sleep(12 * time.Second)
			if got, revision := a.status("w"), a.revision(); got != "online" || revision != 1 {
				t.Errorf("after a jump of %v it is %s at revision %v", jump, got, revision)
			}
			if got, want := lastSeen(t, a), time.Now().Add(jump-12*time.Second); !got.Equal(want) {
				t.Errorf("after a jump of %v it was last seen at %v, want %v", jump, got, want)
			}
			a.want(200, a.post("heartbeat", `{"worker_id":"w"}`))
		}
		s.Wall(func() time.Time { return time.Now().Add(-365 * 24 * time.Hour) })
		for range 3 { // more than half a window without a look would be the registry's own stall
			time.Sleep(10 * time.Second)
			a.revision()
		}
		time.Sleep(time.Nanosecond)
		if got := a.status("w"); got != "offline" {
			t.Errorf("silent for 30 s it is %s", got)
		}
	})
}

// So many are due at once that they are judged in lots. Whoever is asked for meanwhile is
// judged at once.
func TestAMassExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 2000
		s := server.New(server.Config{})
		a := api{t, s.Handler()}
		for i := range many {
			a.want(200, a.post("register", fmt.Sprintf(`{"worker_id":"w%04d","hostname":"h","port":1}`, i)))
		}
		for range 8 { // so that it is no stall
			time.Sleep(10 * time.Second)
			a.want(404, a.post("heartbeat", `{"worker_id":"nobody"}`)) // a look, and one lot
		}
		time.Sleep(10 * time.Second)
		last := fmt.Sprintf(`{"worker_id":"w%04d","hostname":"h","port":1}`, many-1)
		a.want(404, a.post("heartbeat", last))
		a.want(404, a.unregister(last))
		for a.ids("workers") != "" { // each look takes one lot
		}
		changes := map[any]int{}
		for _, c := range a.want(200, a.get("watch?since=0&wait=0s"))["changes"].([]any) {
			changes[c.(map[string]any)["op"]]++
		}
		if revision := a.revision(); revision > 3*many || revision < 2*many || changes["registered"] == 0 {
			t.Errorf("in the end there is revision %v, and the first changes are %v", revision, changes)
		}
	})
}

func TestOneMachineCannotTakeAllTheRoom(t *testing.T) {
	a := newAPI(t, server.Config{MaxPerAddress: 2, MaxComponents: 5})
	from := func(remote, id string) reply {
		return a.from(remote, "POST", "/v1/registry/register", fmt.Sprintf(`{"worker_id":%q,"hostname":"h","port":1}`, id))
	}
	a.want(200, from(there, "a"))
	a.want(200, from(there, "b"))
	a.want(200, from(there, "b"))
	if p := a.want(429, from(there, "c")); p["code"] != "too_many_components" {
		t.Errorf("the problem is %v", p)
	}
	a.want(200, from("[2001:db8::1]:4000", "d"))
	a.want(200, from("[2001:db8::2]:4000", "e")) // of the same network, which is one machine's
	a.want(429, from("[2001:db8::3]:4000", "f"))
	a.want(200, a.unregister(`{"worker_id":"a"}`))
	a.want(200, from(there, "c"))
	a.want(200, from(here, "b")) // it has moved, and makes room
	a.want(200, from(there, "a"))
	a.want(503, from(here, "g"))
	a.want(200, from(here, "a")) // who is known stays so
}

func TestSizeIsBounded(t *testing.T) {
	a := newAPI(t, server.Config{MaxComponents: 10}) // 20 KiB together
	large := `{"worker_id":%q,"hostname":"h","port":1,"metadata":{"x":"` + strings.Repeat("x", 15<<10) + `"}}`
	a.want(200, a.post("register", fmt.Sprintf(large, "a")))
	if p := a.want(503, a.post("register", fmt.Sprintf(large, "b"))); p["code"] != "registry_full" {
		t.Errorf("the problem is %v", p)
	}
	a.want(200, a.post("register", `{"worker_id":"a","hostname":"h","port":1}`)) // it becomes smaller
	a.want(200, a.post("register", fmt.Sprintf(large, "b")))
}
