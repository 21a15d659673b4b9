package queen

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// via is the header by which who passes a request on knows it again (RFC 9110, 7.6.3).
const via = "Via"

// errLoop: the worker's address leads back to a queen that the request came through.
var errLoop = errors.New("it leads back to a queen that the request has come through")

// newPseudonym is what this life of a queen calls herself in Via. Ids do not do for that: a
// queen may be the worker of another one, and both be called "queen".
func newPseudonym() string { return "queen-" + ulid.Make().String() }

// wentThrough reports whether a request has come by a queen of that pseudonym.
func wentThrough(h http.Header, pseudonym string) bool {
	for _, list := range h[via] {
		for hop := range strings.SplitSeq(list, ",") {
			_, by, _ := strings.Cut(textproto.TrimString(hop), " ")
			by, _, _ = strings.Cut(textproto.TrimString(by), " ")
			if by == pseudonym {
				return true
			}
		}
	}
	return false
}

// addHop names her in what she passes on of r.
func addHop(out http.Header, r *http.Request, pseudonym string) {
	out.Add(via, fmt.Sprintf("%d.%d %s", r.ProtoMajor, r.ProtoMinor, pseudonym))
}

func looped(format string, args ...any) error {
	return httpd.Errorf(http.StatusLoopDetected, codeLoop, format, args...)
}
