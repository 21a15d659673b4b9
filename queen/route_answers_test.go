package queen_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/queen"
)

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"SSH-2.0-OpenSSH_9.6\n\n":                "its answer is no HTTP: malformed HTTP response",
		"HTTP/1.1 200 OK\nno field\n\n":          "its answer is no HTTP: malformed MIME header",
		"HTTP/1.1 999 What\n\n":                  "answers with 999, which is no status",
		"HTTP/1.1 200 OK\nContent-Type: text/pl": "broke off: unexpected EOF",
	} {
		c := holdCourt(t, queen.Config{})
		c.introduce(raw(t, answer))
		status, _, refusal := c.chat(chatOf("tiny"))
		code, message := failing(t, refusal)
		if status != http.StatusBadGateway || code != "worker_failed" || !strings.Contains(message, want) || strings.Contains(message, "net/http") {
			t.Errorf("%q: %d %v", answer, status, refusal)
		}
	}
}
