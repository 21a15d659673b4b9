package queen_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
)

// hang has a worker read a request and not answer it until the client goes, or it is let go on.
func hang(asked chan<- struct{}, goOn <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-goOn:
			_, _ = io.WriteString(w, `{}`)
		}
	}
}

// A worker that is gone for long, or is another one by now, is not waited for.
func TestNobodyWaitsForWhoIsGone(t *testing.T) {
	t.Parallel()
	for _, another := range []bool{false, true} {
		c := holdCourt(t, queen.Config{OfflineAfter: 100 * time.Millisecond, ForgetAfter: time.Hour})
		q := queenClient(t, c.url)
		asked := make(chan struct{}, 1)
		w := c.hireModel("m", hang(asked, nil))
		done := make(chan struct{})
		go func() {
			defer close(done)
			<-asked
			err := q.Unregister(t.Context(), w)
			if another {
				w.InstanceID, w.Port = "another", w.Port+1
				_, err = q.Register(t.Context(), w)
			}
			if err != nil {
				t.Error(err)
			}
		}()
		status, _, answer := c.chat(chatOf("m"))
		if code, message := failing(t, answer); status != http.StatusBadGateway || code != "worker_failed" || !containsAll(message, w.ID, "nobody has known it for 100ms") {
			t.Errorf("%d %v", status, answer)
		}
		<-done
		c.idle()
	}
}

// One that is stopped is unregistered first, and answers what it has begun.
func TestWhoLeavesFinishes(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	asked, goOn := make(chan struct{}, 1), make(chan struct{})
	w := c.hireModel("m", hang(asked, goOn))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(goOn)
		<-asked
		if err := queenClient(t, c.url).Unregister(t.Context(), w); err != nil {
			t.Error(err)
		}
	}()
	if status, _, answer := c.chat(chatOf("m")); status != http.StatusOK {
		t.Errorf("%d %v", status, answer)
	}
	<-done
}
