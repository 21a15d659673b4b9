package main

import (
	"bytes"
	"fmt"
	"strings"
)

// A component's number is in its id and in its instance id, always in seven digits, so
// that a request is made by writing digits over those of the last.
const (
	blank    = "#######"
	idPrefix = "worker-llm-"
	instance = "01JD000000000000000" + blank
)

// ones are the ids of components. Each is as long as those of real ones.
const (
	registration = `{"component_type":"worker","component_id":"` + idPrefix + blank + `","instance_id":"` + instance +
		`","hostname":"localhost","port":8080,"metadata":{"worker_type":"llm","model":"llama-3.2-1b"}}`
	beat = `{"component_type":"worker","component_id":"` + idPrefix + blank + `","instance_id":"` + instance + `"}`
)

// mold is a request for any components.
type mold struct {
	bytes []byte
	at    []int // where the numbers go
	each  int   // numbers for each component
}

// newMold makes a request whose body is the component, or a batch of so many.
func newMold(method, path, component string, batch int) *mold {
	body := component
	if batch > 0 {
		body = `{"components":[` + strings.Repeat(component+",", batch-1) + component + `]}`
	}
	m := &mold{bytes: httpRequest(method, path, body, ""), each: strings.Count(component, blank)}
	for from := 0; ; {
		i := bytes.Index(m.bytes[from:], []byte(blank))
		if i < 0 {
			return m
		}
		m.at = append(m.at, from+i)
		from += i + len(blank)
	}
}

// fill puts in the components from first on, of those below known.
func (m *mold) fill(first, known int64) []byte {
	for i := range len(m.at) / max(m.each, 1) {
		n := (first + int64(i)) % known
		for _, at := range m.at[i*m.each : (i+1)*m.each] {
			for d, rest := len(blank)-1, n; d >= 0; d, rest = d-1, rest/10 {
				m.bytes[at+d] = byte('0' + rest%10)
			}
		}
	}
	return m.bytes
}

// numberIn finds a component's number in a text, or gives -1.
func numberIn(text []byte) int64 {
	i := bytes.Index(text, []byte(idPrefix))
	if i < 0 || len(text) < i+len(idPrefix)+len(blank) {
		return -1
	}
	return digits(text[i+len(idPrefix):][:len(blank)])
}

// digits reads the number that a text begins with, or gives -1.
func digits(text []byte) int64 {
	n := int64(-1)
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		n = max(n, 0)*10 + int64(c-'0')
	}
	return n
}

// httpRequest is a whole request; header is further fields, each with its line's end.
func httpRequest(method, path, body, header string) []byte {
	if body != "" {
		header += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	return []byte(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n" + body)
}
