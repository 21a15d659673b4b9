package ports

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is a run of TCP ports, both ends included. The zero Range stands for
// DefaultRange.
type Range struct {
	First, Last int // 1-65535
}

// DefaultRange is where workers get their ports.
func DefaultRange() Range { return Range{First: 8080, Last: 8200} }

// ParseRange reads "8080-8200", or "8080" for a range of one.
func ParseRange(s string) (Range, error) {
	first, last, isRange := strings.Cut(strings.TrimSpace(s), "-")
	if !isRange {
		last = first
	}
	var r Range
	var err error
	if r.First, err = parsePort(first); err != nil {
		return Range{}, fmt.Errorf("port range %q: %w", s, err)
	}
	if r.Last, err = parsePort(last); err != nil {
		return Range{}, fmt.Errorf("port range %q: %w", s, err)
	}
	if err := r.check(); err != nil {
		return Range{}, err
	}
	return r, nil
}

func parsePort(s string) (int, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, fmt.Errorf("a port is missing: write it as 8080-8200 or 8080")
	}
	port, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port number", s)
	}
	return port, checkPort(port)
}

func checkPort(port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("%d is not a port: ports go from 1 to 65535", port)
	}
	return nil
}

func (r Range) check() error {
	for _, port := range []int{r.First, r.Last} {
		if err := checkPort(port); err != nil {
			return fmt.Errorf("port range %s: %w", r, err)
		}
	}
	if r.First > r.Last {
		return fmt.Errorf("port range %s: the first port is above the last", r)
	}
	return nil
}

// String writes r as ParseRange reads it.
func (r Range) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// UnmarshalText makes Range a value that flags and configuration files can hold.
func (r *Range) UnmarshalText(text []byte) error {
	parsed, err := ParseRange(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
