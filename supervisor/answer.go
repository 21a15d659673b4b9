package supervisor

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
)

const (
	maxBody   = 4096 // bytes of an answer that are looked at
	maxReason = 120  // of its characters are worth repeating
)

// said is an answer in a few words: its status, and the server's own word on it where
// that is one line, and no page or document.
func said(resp *http.Response) string {
	status := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // only for the message
	if why := reason(body); why != "" && !strings.EqualFold(why, http.StatusText(resp.StatusCode)) {
		return status + ": " + why
	}
	return status
}

// reason is what the body of an answer gives as one; "" for none.
func reason(body []byte) string {
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		text = jsonReason(body)
	}
	if strings.HasPrefix(text, "<") || strings.ContainsAny(text, "\r\n") {
		return ""
	}
	if runes := []rune(text); len(runes) > maxReason {
		return string(runes[:maxReason]) + "…"
	}
	return text
}

// jsonReason knows the shapes that servers of models have: OpenAI's, FastAPI's, those of
// problem+json.
func jsonReason(body []byte) string {
	var said struct {
		Error, Detail, Message json.RawMessage
	}
	_ = json.Unmarshal(body, &said) // what is none has no reason
	for _, field := range []json.RawMessage{said.Error, said.Detail, said.Message} {
		var text string
		var inner struct{ Message string }
		if json.Unmarshal(field, &text) == nil && text != "" {
			return text
		}
		if json.Unmarshal(field, &inner) == nil && inner.Message != "" {
			return inner.Message
		}
	}
	return ""
}

// errUnseen is what LogLine says until its line has come.
var errUnseen = errors.New("not seen yet")

// telling reports whether a probe's error says more of a start than that it goes on.
func telling(err error) bool {
	return !isLoading(err) && !errors.Is(err, errNotYet) && !errors.Is(err, errUnseen) &&
		!errors.Is(err, syscall.ECONNREFUSED)
}
