package queen

import (
	"errors"
	"mime"
	"net/http"
	"strings"
)

// errHalf: an answer in JSON came without a length, and its connection has ended too early.
var errHalf = errors.New("the answer's JSON is not whole")

// mediaOf is an answer's media type, and whether that is JSON that can be read.
func mediaOf(h http.Header) (media string, isJSON bool) {
	media, _, _ = mime.ParseMediaType(h.Get("Content-Type"))
	isJSON = media == "application/json" || strings.HasSuffix(media, "+json")
	return media, isJSON && h.Get("Content-Encoding") == ""
}

// nesting is how far an answer in JSON has come. It keeps none of it, and judges nothing but
// whether it can end here.
type nesting struct {
	depth   int
	begun   bool // there is something
	quoted  bool // within a string
	escaped bool // after a backslash in one
}

func (n *nesting) add(piece []byte) {
	for _, c := range piece {
		switch {
		case n.escaped:
			n.escaped = false
		case n.quoted:
			n.quoted, n.escaped = c != '"', c == '\\'
		case c == '"':
			n.quoted, n.begun = true, true
		case c == '{', c == '[':
			n.depth++
			n.begun = true
		case c == '}', c == ']':
			n.depth--
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			n.begun = true
		}
	}
}

func (n *nesting) whole() bool { return n.begun && n.depth <= 0 && !n.quoted }
