package openai_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
)

func Example() {
	w := httptest.NewRecorder()
	openai.WriteError(w, httpd.InvalidField("n", "is 2, 1 is wanted"))
	fmt.Print(w.Code, " ", w.Body)
	fmt.Printf("data: %s\n", openai.Event(httpd.Errorf(http.StatusBadGateway, "worker_failed", "it broke off")))
	// Output:
	// 422 {"error":{"message":"n: is 2, 1 is wanted","type":"invalid_request_error","param":"n","code":"invalid_field"}}
	// data: {"error":{"message":"it broke off","type":"server_error","param":null,"code":"worker_failed"}}
}

func TestWhatIsNoProblemStaysInTheLog(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	openai.WriteError(w, errors.New("secret"))
	const want = `{"error":{"message":"the server failed; its log has the reason","type":"server_error","param":null,"code":"internal"}}` + "\n"
	if w.Code != http.StatusInternalServerError || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if wrapped := fmt.Errorf("so: %w", httpd.Errorf(http.StatusTeapot, "x", "")); openai.Status(wrapped) != http.StatusTeapot {
		t.Errorf("the status of a wrapped problem is %d", openai.Status(wrapped))
	}
}

func TestWhoIsToComeBackIsToldWhen(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{http.StatusServiceUnavailable: "1", http.StatusBadGateway: ""} {
		w := httptest.NewRecorder()
		openai.WriteError(w, httpd.Errorf(status, "x", "y"))
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%d: Retry-After is %q, want %q", status, got, want)
		}
	}
}
