package httpd

import (
	"net/http"
	"strconv"
	"strings"
)

// TakesGzip reports whether the request's Accept-Encoding (RFC 9110, 12.5.3) has gzip in it.
func TakesGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
			continue
		}
		q, weighed := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		if value, err := strconv.ParseFloat(q, 64); !weighed || (err == nil && value > 0) {
			return true
		}
	}
	return false
}
