package worker

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokenize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":            nil,
		" \n":         nil,
		"one":         {"one"},
		"one two\n":   {"one", " two"},
		"  a\t\nb  c": {"  a", "\t\nb", "  c"},
		"züge fahren": {"züge", " fahren"},
		"a\u2003b":    {"a", "\u2003b"},
	} {
		if got := tokenize(text); !slices.Equal(got, want) {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestPlanned(t *testing.T) {
	t.Parallel()
	two := 2
	for _, c := range []struct {
		name    string
		tokens  int
		limit   *int
		context int
		want    int // tokens said; -1: refused
		finish  string
	}{
		{"all of it", 3, nil, 6, 3, "stop"},
		{"the request's limit", 3, &two, 6, 2, "length"},
		{"the context's end", 3, nil, 5, 2, "length"},
		{"room for one", 3, &two, 4, 1, "length"},
		{"no room", 3, nil, 3, -1, ""},
	} {
		p, err := planned([]prompt{{tokens: c.tokens, reply: "a b c"}}, c.limit, c.context)
		if c.want < 0 {
			if err == nil {
				t.Errorf("%s: not refused", c.name)
			}
			continue
		}
		if err != nil || len(p.answers[0].tokens) != c.want || p.answers[0].finish != c.finish {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
		if p.usage.TotalTokens != c.tokens+c.want {
			t.Errorf("%s: usage %+v", c.name, p.usage)
		}
	}
}

func TestPaceHoldsTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		err := pace(t.Context(), []string{"a", "b", "c"}, 10, func(string) error {
			at = append(at, time.Since(start))
			time.Sleep(30 * time.Millisecond) // a slow reader does not add up
			return nil
		})
		want := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond}
		if err != nil || !slices.Equal(at, want) {
			t.Errorf("tokens at %v, %v", at, err)
		}
	})
}

func TestPaceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		said := 0
		err := pace(ctx, make([]string, 10), 1, func(string) error {
			if said++; said == 2 {
				cancel(cause)
			}
			return nil
		})
		if said != 2 || !errors.Is(err, cause) {
			t.Errorf("%d tokens, %v", said, err)
		}
	})
}

func TestLoadTakesItsTimeAndItsMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := New(Config{LoadTime: 3 * time.Second, Memory: 1_000_003, Log: slog.New(slog.NewTextHandler(&log, nil))})
		start := time.Now()
		model, done := w.load(t.Context())
		if took := time.Since(start); !done || took != 3*time.Second {
			t.Errorf("loaded: %v, in %v", done, took)
		}
		size := 0
		for _, block := range model {
			size += len(block)
		}
		if size != 1_000_003 {
			t.Errorf("it has %d bytes", size)
		}
		if got := strings.Count(log.String(), "percent="); got != loadSteps {
			t.Errorf("%d progress lines:\n%s", got, log.String())
		}
	})
}
