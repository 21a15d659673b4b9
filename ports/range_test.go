package ports_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/ports"
)

func TestParseRange(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want ports.Range
		text string // how String writes it
		err  string // part of the error
	}{
		{in: "8080-8200", want: ports.Range{First: 8080, Last: 8200}, text: "8080-8200"},
		{in: " 8080 - 8200 ", want: ports.Range{First: 8080, Last: 8200}, text: "8080-8200"},
		{in: "8080", want: ports.Range{First: 8080, Last: 8080}, text: "8080"},
		{in: "1-65535", want: ports.Range{First: 1, Last: 65535}, text: "1-65535"},
		{in: "7-7", want: ports.Range{First: 7, Last: 7}, text: "7"},
		{in: "", err: "a port is missing"},
		{in: "8080-", err: "a port is missing"},
		{in: "-8080", err: "a port is missing"},
		{in: "80x-90", err: `"80x" is not a port number`},
		{in: "1-2-3", err: `"2-3" is not a port number`},
		{in: "0-10", err: "ports go from 1 to 65535"},
		{in: "10-65536", err: "65536 is not a port"},
		{in: "8200-8080", err: "the first port is above the last"},
	} {
		var got ports.Range
		err := got.UnmarshalText([]byte(tc.in))
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("ParseRange(%q): error %v, want one with %q", tc.in, err, tc.err)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("ParseRange(%q) = %v, %v, want %v", tc.in, got, err, tc.want)
		}
		if text, _ := got.MarshalText(); string(text) != tc.text {
			t.Errorf("%v is written %q, want %q", tc.want, text, tc.text)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, tc := range []struct {
		name      string
		cfg       ports.Config
		count     int
		offered   int // a port among them
		unoffered int // a port not among them
		err       string
	}{
		{name: "zero value", count: 120, offered: 8200, unoffered: 8188},
		{name: "avoid none", cfg: ports.Config{Avoid: []int{}}, count: 121, offered: 8188},
		{name: "avoid others", cfg: ports.Config{Avoid: []int{8080, 8081, 9}}, count: 119, offered: 8188, unoffered: 8080},
		{name: "asked for by itself", cfg: ports.Config{Range: ports.Range{First: 8188, Last: 8188}}, count: 1, offered: 8188},
		{name: "nothing left", cfg: ports.Config{Range: ports.Range{First: 5, Last: 6}, Avoid: []int{5, 6}}, err: "every port in it is to be avoided"},
		{name: "bad range", cfg: ports.Config{Range: ports.Range{First: 9, Last: 8}}, err: "the first port is above the last"},
		{name: "half a range", cfg: ports.Config{Range: ports.Range{First: 9}}, err: "0 is not a port"},
	} {
		_, got, err := tc.cfg.Candidates()
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: error %v, want one with %q", tc.name, err, tc.err)
			}
			continue
		}
		if err != nil || len(got) != tc.count || !slices.IsSorted(got) ||
			!slices.Contains(got, tc.offered) || slices.Contains(got, tc.unoffered) {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
	}
}
