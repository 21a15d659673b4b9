package httpd

import "unicode/utf8"

// mostBrief is how much of a name from a request an answer repeats, in bytes.
const mostBrief = 200

// Brief is a name from a request as an error repeats it: cut where it is so long that it can
// be none.
func Brief(name string) string {
	if len(name) <= mostBrief {
		return name
	}
	cut := mostBrief
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}
