package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// memory tells what an entry takes of a server's resident memory. Of a million it is
// measured where they beat, since it takes a while to register them.
func (b *bench) memory(ctx context.Context, s *section) (err error) {
	all, stop, err := b.contenders(ctx, patient...)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	var bare float64
	for _, c := range all {
		r, err := weigh(ctx, c, b.entries)
		if err != nil {
			return err
		}
		if c.name() == "bare" {
			bare, _ = r.Values.get("bytes_per_entry")
		}
		s.Rows = append(s.Rows, r)
	}
	for _, r := range s.Rows {
		if each, _ := r.Values.get("bytes_per_entry"); r.Who != "bare" {
			r.compare(each/bare, 0)
		}
	}
	s.Notes = append(s.Notes,
		"bytes per entry: what the process has grown by when they are registered, as it was left;",
		"settled: the same after it has given back all that it could")
	s.Notes = append(s.Notes, "ratio: of bytes per entry, the less the better")
	if b.most > b.entries {
		s.Notes = append(s.Notes, "for "+figure(float64(b.most))+" entries see the section million")
	}
	return nil
}

// weigh registers so many components, and tells by how much that made the server grow.
func weigh(ctx context.Context, c contender, n int64) (*row, error) {
	before, err := c.usage(ctx)
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, c, n); err != nil {
		return nil, err
	}
	after, err := c.usage(ctx)
	if err != nil {
		return nil, err
	}
	each := func(u usage) float64 { return float64(u.resident-before.resident) / float64(n) }
	r := &row{What: figure(float64(n)) + " entries", Who: c.name(), Values: values{
		{"bytes_per_entry", each(after)},
	}}
	if ours, ok := c.(httpContender); ok {
		if err := ours.collect(); err != nil {
			return nil, fmt.Errorf("%s: collect garbage: %w", c.name(), err)
		}
		settled, err := c.usage(ctx)
		if err != nil {
			return nil, err
		}
		r.Values = append(r.Values, value{"settled", each(settled)})
		after = settled
	}
	r.Values = append(r.Values, value{"resident_mb", float64(after.resident) / 1e6})
	return r, nil
}

// collect has it give back all memory that it does not need.
func (c *child) collect() error {
	if _, err := io.WriteString(c.stdin, "collect\n"); err != nil {
		return err
	}
	_, err := c.line()
	return err
}
