package registry

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ParseURL reads where a daemon is, as people write it: http or https, a host, a port from 1
// to 65535 unless it is the scheme's own, and perhaps a path; nothing besides. The error
// says what is wrong, and that a URL like the one given is wanted.
func ParseURL(text, like string) (*url.URL, error) {
	refuse := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("%q: it %s; a URL like %s is wanted", text, why, like)
	}
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return refuse("does not begin with http:// or https://")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return refuse("is no URL")
	case u.Hostname() == "":
		return refuse("names no host")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return refuse("goes on behind the address")
	}
	if text := u.Port(); text != "" {
		if port, err := strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return refuse("has no port from 1 to 65535")
		}
	}
	return u, nil
}
