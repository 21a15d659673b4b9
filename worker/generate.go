package worker

import (
	"context"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// disclaimer opens every answer.
const disclaimer = "This is a simulation, no model was run."

// prompt is one thing to answer.
type prompt struct {
	tokens int    // its length
	reply  string // what is to be said to it
}

// answer is what is said to one prompt, and why it ends.
type answer struct {
	tokens []string
	finish string // "stop" or "length"
}

// plan is all of one request's answers, known before the first token is said.
type plan struct {
	answers []answer
	usage   usage
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens,omitempty"`
	TotalTokens      int `json:"total_tokens"`
}

// planned decides what is said to prompts. limit is the request's max_tokens,
// nil for none; context is what prompt and answer may take together.
func planned(prompts []prompt, limit *int, context int) (plan, error) {
	var p plan
	for _, pr := range prompts {
		room := context - pr.tokens
		if room < 1 {
			return plan{}, httpd.Errorf(http.StatusBadRequest, "context_length_exceeded",
				"the prompt has %d tokens (words), the context has %d", pr.tokens, context)
		}
		if limit != nil {
			room = min(room, *limit)
		}
		a := answer{tokens: tokenize(pr.reply), finish: "stop"}
		if len(a.tokens) > room {
			a = answer{tokens: a.tokens[:room], finish: "length"}
		}
		p.answers = append(p.answers, a)
		p.usage.PromptTokens += pr.tokens
		p.usage.CompletionTokens += len(a.tokens)
	}
	p.usage.TotalTokens = p.usage.PromptTokens + p.usage.CompletionTokens
	return p, nil
}

// tokenize splits text into words, each with the space before it, so that the
// tokens put together are the text again (but for space at its end).
func tokenize(text string) []string {
	var tokens []string
	start, inWord := 0, false
	for i, r := range text {
		space := unicode.IsSpace(r)
		if space && inWord {
			tokens = append(tokens, text[start:i])
			start = i
		}
		inWord = !space
	}
	if inWord {
		tokens = append(tokens, text[start:])
	}
	return tokens
}

// pace calls emit with each token at the given rate (0: at once) until one fails
// or ctx ends, and returns that error or the context's cause. The rate holds over
// the whole answer: a late token is not waited for twice.
func pace(ctx context.Context, tokens []string, perSecond float64, emit func(token string) error) error {
	start := time.Now()
	for i, token := range tokens {
		var wait time.Duration
		if perSecond > 0 {
			due := time.Duration(float64(i+1) / perSecond * float64(time.Second))
			wait = due - time.Since(start)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		if err := emit(token); err != nil {
			return err
		}
	}
	return nil
}

func (a answer) text() string { return strings.Join(a.tokens, "") }
