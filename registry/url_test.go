package registry_test

import (
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct{ text, wrong string }{
		{"http://127.0.0.1:7830", ""},
		{"https://box1", ""},
		{"http://[::1]:7830/behind/a/proxy/", ""},
		{"127.0.0.1:7830", "does not begin with http:// or https://"},
		{"localhost:7830", "does not begin with http:// or https://"},
		{"", "does not begin with http:// or https://"},
		{"http://", "names no host"},
		{"http://:7830", "names no host"},
		{"http://a b", "is no URL"},
		{"http://h:x", "is no URL"},
		{"http://h:7830?x=1", "goes on behind the address"},
		{"http://h:7830?", "goes on behind the address"},
		{"http://h:7830/#x", "goes on behind the address"},
		{"http://h:99999", "has no port from 1 to 65535"},
		{"http://h:0", "has no port from 1 to 65535"},
	} {
		_, err := registry.ParseURL(test.text, "http://like.this")
		switch {
		case test.wrong == "" && err != nil:
			t.Errorf("%q: %v", test.text, err)
		case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong+"; a URL like http://like.this is wanted")):
			t.Errorf("%q: %v, want that it %s", test.text, err, test.wrong)
		}
	}
}
