package worker

import (
	"time"

	"github.com/oklog/ulid/v2"
)

// envelope is what an answer or one event of a stream comes in.
type envelope struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	Model       string   `json:"model"`
	Fingerprint string   `json:"system_fingerprint"`
	Choices     []choice `json:"choices"`
	Usage       *usage   `json:"usage,omitempty"`
}

// choice is one answer, or a piece of one.
type choice struct {
	Index   int     `json:"index"`
	Message *speech `json:"message,omitempty"` // chat, whole
	Delta   *speech `json:"delta,omitempty"`   // chat, streamed
	Text    *string `json:"text,omitempty"`    // completions
	Finish  *string `json:"finish_reason"`
}

type speech struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

// form is how one endpoint writes its answers.
type form struct {
	prefix       string // of ids
	object       string
	streamObject string
	whole        func(index int, a answer) choice
	opening      func(index int) []choice // what a stream says before the first token
	piece        func(index int, token string) choice
	closing      func(index int, finish string) choice
}

var chatForm = form{
	prefix: "chatcmpl-", object: "chat.completion", streamObject: "chat.completion.chunk",
	whole: func(i int, a answer) choice {
		return choice{Index: i, Message: &speech{Role: "assistant", Content: new(a.text())}, Finish: &a.finish}
	},
	opening: func(i int) []choice {
		return []choice{{Index: i, Delta: &speech{Role: "assistant", Content: new("")}}}
	},
	piece: func(i int, token string) choice {
		return choice{Index: i, Delta: &speech{Content: &token}}
	},
	closing: func(i int, finish string) choice {
		return choice{Index: i, Delta: &speech{}, Finish: &finish}
	},
}

var completionForm = form{
	prefix: "cmpl-", object: "text_completion", streamObject: "text_completion",
	whole: func(i int, a answer) choice {
		return choice{Index: i, Text: new(a.text()), Finish: &a.finish}
	},
	opening: func(int) []choice { return nil },
	piece: func(i int, token string) choice {
		return choice{Index: i, Text: &token}
	},
	closing: func(i int, finish string) choice {
		return choice{Index: i, Text: new(""), Finish: &finish}
	},
}

func newEnvelope(f form, model string) envelope {
	return envelope{
		ID: f.prefix + ulid.Make().String(), Object: f.object, Created: time.Now().Unix(),
		Model: model, Fingerprint: "simulation",
	}
}
