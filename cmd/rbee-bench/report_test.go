package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func sample() *report {
	ours := &row{What: "one", Who: "registry", Values: values{{"per_second", 12345.6}, {"p50_ms", 0.1234}}}
	ours.compare(0.8765, 0.85)
	theirs := &row{What: "one", Who: "bare", Values: values{{"per_second", 14085}, {"p50_ms", 12.345}}}
	missed := &row{What: "batches of 100", Who: "registry", Values: values{{"per_second", 999.4}, {"bytes", 1000000}}}
	missed.compare(0.5, 0.85)
	return &report{
		About: []string{"a machine"},
		Sections: []*section{{
			Name: "heartbeat", About: "what it is",
			Rows:  []*row{ours, theirs, missed, {What: "batches of 100", Who: "etcd", Note: "not offered"}},
			Notes: []string{"a note"},
		}},
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := sample().text(&out); err != nil {
		t.Fatal(err)
	}
	want := `a machine

heartbeat: what it is
what            who       per second  p50 ms  bytes      ratio  goal
one             registry  12,346      0.12    -          0.88   ratio >= 0.85: met
                bare      14,085      12.3    -
batches of 100  registry  999         -       1,000,000  0.50   ratio >= 0.85: missed
                etcd      -           -       -                 not offered
  a note
`
	if out.String() != want {
		t.Errorf("printed was\n%s\nwant\n%s", out.String(), want)
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := sample().json(&out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Sections []struct {
			Name string
			Rows []struct {
				Who    string
				Values map[string]float64
				Ratio  *float64
				Goal   *goal
			}
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	rows := got.Sections[0].Rows
	if r := rows[0]; r.Values["per_second"] != 12345.6 || r.Values["p50_ms"] != 0.123 || *r.Ratio != 0.8765 || !r.Goal.Met {
		t.Errorf("the first row is %+v", r)
	}
	if r := rows[2]; r.Goal.Met {
		t.Errorf("a ratio of %v meets %q", *r.Ratio, r.Goal.Text)
	}
	if r := rows[1]; r.Goal != nil || r.Ratio != nil {
		t.Errorf("the bare handler is measured by %+v", r.Goal)
	}
}

func TestFigure(t *testing.T) {
	for number, want := range map[float64]string{
		0: "0", 7: "7", 999: "999", 0.004: "0.00", 1.236: "1.24", 9.996: "10.0", 99.96: "100",
		1000: "1,000", 999.6: "1,000", 1234567: "1,234,567", -1234: "-1,234",
	} {
		if got := figure(number); got != want {
			t.Errorf("%v is %q, want %q", number, got, want)
		}
	}
}
