package queen_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/worker"
)

// leadsTo is a worker that is a queen.
func leadsTo(c court, id string) registry.Component {
	w := componentAt(c.t, c.url)
	w.ID, w.Model = id, "tiny"
	return w
}

// requests is how many requests to chats a queen has had.
func (c court) requests() (n int) {
	for line := range strings.Lines(get(c.t, c.url+"/metrics")) {
		if strings.HasPrefix(line, `rbee_queen_requests_total{endpoint="chat"`) {
			n += int(line[strings.LastIndexByte(line, ' ')+1] - '0')
		}
	}
	return n
}

// TestAWorkerThatIsTheQueenHerself: what she has passed on is refused when it comes back.
func TestAWorkerThatIsTheQueenHerself(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	c.introduce(leadsTo(c, "herself"))
	status, _, answer := c.chat(chatOf("tiny"))
	code, message := failing(t, answer)
	if status != http.StatusLoopDetected || code != "loop_detected" || !containsAll(message, "herself at "+c.url, "leads back") {
		t.Errorf("%d %v", status, answer)
	}
	c.idle()
	if n := c.requests(); n != 2 {
		t.Errorf("one request became %d", n)
	}
	// Who serves the model is found all the same.
	c.hire(worker.Config{Model: "tiny"})
	for range 20 {
		if status, _, answer := c.chat(chatOf("tiny")); status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
	}
}

// TestQueensInACircle: two queens that are each other's workers end what goes round, and ask
// the other's worker where they have none.
func TestQueensInACircle(t *testing.T) {
	t.Parallel()
	one, two := holdCourt(t, queen.Config{}), holdCourt(t, queen.Config{})
	one.introduce(leadsTo(two, "the-other"))
	two.introduce(leadsTo(one, "the-other"))
	for _, c := range []court{one, two} {
		status, _, answer := c.chat(chatOf("tiny"))
		if code, _ := failing(t, answer); status != http.StatusLoopDetected || code != "loop_detected" {
			t.Errorf("%d %v", status, answer)
		}
	}
	two.hire(worker.Config{Model: "tiny"})
	for range 20 {
		if status, _, answer := one.chat(chatOf("tiny")); status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
	}
}

// TestVia: she adds herself to those whom a request has come through, and takes none of them
// for herself who only looks like her.
func TestVia(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	var got atomic.Value
	c.hireModel("tiny", func(_ http.ResponseWriter, r *http.Request) { got.Store(strings.Join(r.Header["Via"], ", ")) })
	var before string
	for _, sent := range []string{"", "1.0 fred, 1.1 p.example.net:80 (a proxy, with commas)", "1.1 queen", "HTTP/2 x,,", "0.0 "} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.url+chatPath, strings.NewReader(chatOf("tiny")))
		if err != nil {
			t.Fatal(err)
		}
		if sent != "" {
			req.Header.Set("Via", sent)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		via, _ := got.Load().(string)
		mine := strings.TrimPrefix(strings.TrimPrefix(via, strings.TrimSpace(sent)), ", ")
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(mine, "1.1 queen-0") || before != "" && mine != before {
			t.Errorf("%q: %d, passed on with %q", sent, resp.StatusCode, via)
		}
		before = mine
	}
}
