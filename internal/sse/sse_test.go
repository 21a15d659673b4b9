package sse_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rbee-launch/rbee-launch/internal/sse"
)

func Example() {
	events := sse.NewReader(strings.NewReader("id: 1\nevent: change\ndata: one\ndata: two\n\n"), 1<<10, nil)
	e, err := events.Next()
	fmt.Printf("%s %s %q %v\n", e.ID, e.Name, e.Data, err)
	// Output: 1 change "one\ntwo" <nil>
}

func TestReader(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "EOF",
		"data: half":                       "EOF",
		"data: half\n":                     "EOF",
		":\n\ndata: a\n\n":                 `"" "" nil 0s; "" "" "a" 0s; EOF`,
		"data\n\ndata:\ndata: b\n\n":       `"" "" "" 0s; "" "" "\nb" 0s; EOF`,
		"id: 7\r\ndata:x\r\n\r\n":          `"7" "" "x" 0s; EOF`,
		"retry: 20\nevent: bye\n\n":        `"" "bye" nil 20ms; EOF`,
		"retry: soon\nother: y\nid: 1\n\n": `"1" "" nil 0s; EOF`,
		"data: " + strings.Repeat("x", 2000) + "\n\n": "read an event: it is over 1024 bytes",
	} {
		heard := 0
		events := sse.NewReader(iotest.OneByteReader(strings.NewReader(text)), 1024, func() { heard++ })
		var got []string
		for {
			e, err := events.Next()
			if errors.Is(err, io.EOF) {
				got = append(got, "EOF")
				break
			}
			if err != nil {
				got = append(got, err.Error())
				break
			}
			data := "nil"
			if e.Data != nil {
				data = fmt.Sprintf("%q", e.Data)
			}
			got = append(got, fmt.Sprintf("%q %q %s %v", e.ID, e.Name, data, e.Retry))
		}
		if all := strings.Join(got, "; "); all != want {
			t.Errorf("%q: %s, want %s", text, all, want)
		}
		if len(text) > 0 && heard == 0 {
			t.Errorf("%q was not heard", text)
		}
	}
}
