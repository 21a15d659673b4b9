package queen

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

func TestChooseWorker(t *testing.T) {
	t.Parallel()
	now := time.Now()
	failed, over := now.Add(time.Millisecond), now
	for name, c := range map[string]struct {
		states []load
		want   []int // what may be drawn
	}{
		"one":                          {[]load{{running: 7}}, []int{0}},
		"the fewest":                   {[]load{{running: 2}, {running: 1}, {running: 3}}, []int{1}},
		"equals":                       {[]load{{running: 2}, {running: 1}, {running: 1}}, []int{1, 2}},
		"one that failed is idle":      {[]load{{until: failed}, {running: 9}}, []int{1}},
		"the same, the other way":      {[]load{{running: 9}, {until: failed}}, []int{0}},
		"one that failed long ago":     {[]load{{until: over}, {running: 9}}, []int{0}},
		"all failed":                   {[]load{{running: 1, until: failed}, {until: failed}}, []int{1}},
		"of those that failed, no one": {[]load{{until: failed}, {running: 1}, {until: failed}, {running: 1}}, []int{1, 3}},
	} {
		var drawn []int
		of := 1
		for i := 0; i < of; i++ {
			drawn = append(drawn, chooseWorker(now, c.states, func(n int) int { of = n; return i }))
		}
		if !slices.Equal(drawn, c.want) {
			t.Errorf("%s: drawn are %v, want %v", name, drawn, c.want)
		}
	}
}

// Nothing is kept of a worker that has no request and did not fail a moment ago.
func TestLoadsAreForgotten(t *testing.T) {
	t.Parallel()
	l, now := newLoads(), time.Now()
	a, b := []target{{url: "a"}}, []target{{url: "b"}}
	_, first := l.take(now, a)
	_, second := l.take(now, a)
	if first != second || first.running != 2 {
		t.Errorf("two requests are counted as %+v and %+v", first, second)
	}
	if !l.failed(now, first) || l.failed(now, second) {
		t.Error("that it failed is no news, or is twice")
	}
	l.release(now, "a", first)
	l.release(now, "a", second)
	if len(l.at) != 1 {
		t.Error("one that failed is forgotten at once")
	}
	later := now.Add(passedOver)
	_, third := l.take(later, b)
	l.failed(later, third)
	if len(l.at) != 1 {
		t.Errorf("kept are %v", l.at)
	}
	l.release(later.Add(passedOver), "b", third)
	if len(l.at) != 0 {
		t.Errorf("kept are %v", l.at)
	}
}

// The token is shown to members on other machines: those on this one ask for none, and
// whoever registers here need not have it.
func TestTheTokenIsShownToOtherMachinesAlone(t *testing.T) {
	t.Parallel()
	heard := ""
	ask := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		heard = r.Header.Get("Authorization")
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{}`)), Request: r}, nil
	})}
	for _, c := range []struct{ token, host, want string }{
		{"secret", "box2", "Bearer secret"},
		{"secret", "10.0.0.7", "Bearer secret"},
		{"secret", "localhost", ""},
		{"secret", "127.0.0.2", ""},
		{"secret", "::1", ""},
		{"", "box2", ""},
	} {
		q := New(Config{Token: c.token})
		if _, err := q.fetchCapabilities(t.Context(), ask, registry.Component{Hostname: c.host, Port: 1}); err != nil {
			t.Fatal(err)
		}
		if heard != c.want {
			t.Errorf("%v: GET /capabilities shows %q", c, heard)
		}
		from, err := http.NewRequestWithContext(t.Context(), "POST", chatPath, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		from.Header.Set("Authorization", "Bearer client's")
		out, err := q.onward(t.Context(), from, target{url: "http://" + net.JoinHostPort(c.host, "1"), model: "m"}, nil, "m")
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Header.Get("Authorization"); got != c.want {
			t.Errorf("%v: a request shows %q", c, got)
		}
	}
}

const chatPath = "/v1/chat/completions"

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	if q := New(Config{}); q.transport.Proxy != nil || !q.transport.DisableCompression {
		t.Error("workers are asked through a proxy, or for compressed answers")
	}
}

func TestTheTailOfAStream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pieces  []string
		done    bool
		between bool
	}{
		{nil, false, true},
		{[]string{"data: {}\n\n"}, false, true},
		{[]string{"data: {}\r\n", "\r\n"}, false, true},
		{[]string{"data: {}\n"}, false, false},
		{[]string{"data: {"}, false, false},
		{[]string{"data: [DO", "NE]", "\n", "\n"}, true, true},
		{[]string{strings.Repeat("x", 100), "[DONE]"}, true, false},
		{[]string{"data: [DONE]\n\n", "data: {}\n\n"}, false, true},
	} {
		var end tail
		for _, p := range c.pieces {
			end.add([]byte(p))
		}
		if end.done() != c.done || end.betweenEvents() != c.between {
			t.Errorf("%q: done is %v, between events is %v", c.pieces, end.done(), end.betweenEvents())
		}
	}
}

func TestIDsOfRequests(t *testing.T) {
	t.Parallel()
	for id, kept := range map[string]bool{
		"a": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "": false, "a b": false, "a\tb": false, "ä": false,
	} {
		r := &http.Request{Header: http.Header{requestID: {id}}}
		if got := named(r); (got == id) != kept || r.Header.Get(requestID) != got {
			t.Errorf("%q becomes %q", id, got)
		}
	}
}

func TestManyNamesAreCut(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 25 {
		names = append(names, fmt.Sprintf("m%02d", i))
	}
	if got := enumerated(names); !strings.HasSuffix(got, "m18, m19 and 5 more") {
		t.Error(got)
	}
}

func TestWithAnotherName(t *testing.T) {
	t.Parallel()
	if _, err := withModel([]byte(`[]`), "m"); err == nil {
		t.Error("a list has got a model")
	}
	if got, err := withModel([]byte(`{ "model" : "a", "n":1e3 }`), `b"`); err != nil || !bytes.Equal(got, []byte(`{"model":"b\"","n":1e3}`)) {
		t.Errorf("%s, %v", got, err)
	}
}

// A registry of another version may list what this one refuses.
func TestAnAddressThatIsNoneIsTheReason(t *testing.T) {
	t.Parallel()
	q, now := New(Config{}), time.Now()
	q.table.learn(now, registry.View{Connected: true, AsOf: now, Snapshot: registry.Snapshot{Epoch: "e", Revision: 1, Workers: []registry.Entry{{
		Component: registry.Component{Kind: registry.Worker, ID: "w", InstanceID: "x", Hostname: "gpu box", Port: 1, Model: "m"}, Status: registry.Online,
	}}}})
	_, err := q.table.serving(now, "m")
	if err == nil || !strings.Contains(err.Error(), `w can't be reached, since "gpu box" is no host`) {
		t.Error(err)
	}
}

func TestJSONThatMayEnd(t *testing.T) {
	t.Parallel()
	for text, whole := range map[string]bool{
		`{"a":[{"b":"c"},1]}`: true, " {}\r\n": true, `"x"`: true, `7`: true, `{"a":"}"}`: true, `{"a":"\\"}`: true, `["\"]"]`: true, "{}\n{}": true,
		``: false, " \n": false, `{`: false, `{"a":"}`: false, `{"a":"\"}`: false, `["]"`: false, `"x`: false, "{}\n{": false,
	} {
		var once, bytewise nesting
		once.add([]byte(text))
		for i := range len(text) {
			bytewise.add([]byte{text[i]})
		}
		if once.whole() != whole || bytewise.whole() != whole {
			t.Errorf("%q: %v, in pieces %v", text, once.whole(), bytewise.whole())
		}
	}
}
