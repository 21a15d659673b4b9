package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// report is what a run has found.
type report struct {
	About    []string   `json:"about"` // the machine, and what was left out
	Sections []*section `json:"sections"`
}

// section is one table.
type section struct {
	Name  string   `json:"name"`
	About string   `json:"about"`
	Rows  []*row   `json:"rows"`
	Notes []string `json:"notes,omitempty"`
}

// row is what one server came to in one thing.
type row struct {
	What   string   `json:"what"`
	Who    string   `json:"who"`
	Values values   `json:"values,omitempty"`
	Ratio  *float64 `json:"ratio,omitempty"` // to the bare handler's
	Goal   *goal    `json:"goal,omitempty"`
	Note   string   `json:"note,omitempty"`
}

// goal is what we want of a row.
type goal struct {
	Text string `json:"text"`
	Met  bool   `json:"met"`
}

// values are in the order of the table's columns. Their names tell the unit.
type values []value

type value struct {
	name   string
	number float64
}

// MarshalJSON makes an object of them.
func (vs values) MarshalJSON() ([]byte, error) {
	object := map[string]float64{}
	for _, v := range vs {
		object[v.name] = math.Round(v.number*1000) / 1000
	}
	return json.Marshal(object)
}

func (vs values) get(name string) (number float64, there bool) {
	i := slices.IndexFunc(vs, func(v value) bool { return v.name == name })
	if i < 0 {
		return 0, false
	}
	return vs[i].number, true
}

// compare sets a row's ratio, and its goal where that is a ratio of at least some.
func (r *row) compare(ratio, atLeast float64) {
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return
	}
	r.Ratio = &ratio
	if atLeast > 0 {
		r.Goal = &goal{Text: fmt.Sprintf("ratio >= %v", atLeast), Met: ratio >= atLeast}
	}
}

func (r *report) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// text prints a table for each section.
func (r *report) text(w io.Writer) error {
	for _, line := range r.About {
		fmt.Fprintln(w, line)
	}
	for _, s := range r.Sections {
		if err := s.text(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *section) text(w io.Writer) error {
	names := s.columns()
	header := []string{"what", "who"}
	for _, n := range names {
		header = append(header, strings.ReplaceAll(n, "_", " "))
	}
	lines := [][]string{append(header, "ratio", "goal")}
	before := ""
	for _, r := range s.Rows {
		what := r.What
		if what == before {
			what = ""
		}
		before = r.What
		lines = append(lines, r.cells(what, names))
	}
	var table strings.Builder
	tw := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s: %s\n", s.Name, s.About)
	for line := range strings.Lines(table.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
	for _, n := range s.Notes {
		if _, err := fmt.Fprintln(w, "  "+n); err != nil {
			return err
		}
	}
	return nil
}

// columns are the names of all values, in the order in which they first come.
func (s *section) columns() []string {
	var names []string
	for _, r := range s.Rows {
		for _, v := range r.Values {
			if !slices.Contains(names, v.name) {
				names = append(names, v.name)
			}
		}
	}
	return names
}

func (r *row) cells(what string, names []string) []string {
	cells := []string{what, r.Who}
	for _, n := range names {
		if number, there := r.Values.get(n); there {
			cells = append(cells, figure(number))
		} else {
			cells = append(cells, "-")
		}
	}
	ratio := ""
	if r.Ratio != nil {
		ratio = figure(*r.Ratio)
	}
	last := r.Note
	if r.Goal != nil {
		verdict := "missed"
		if r.Goal.Met {
			verdict = "met"
		}
		last = strings.TrimSpace(r.Goal.Text + ": " + verdict + "  " + last)
	}
	return append(cells, ratio, last)
}

// figure has three digits that count, and commas.
func figure(x float64) string {
	switch size := math.Abs(x); {
	case x == math.Trunc(x) && size < 1000:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case size < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case size < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	text := strconv.FormatFloat(math.Abs(x), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if x < 0 {
		text = "-" + text
	}
	return text
}
