package worker

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// Requests hold what the simulation looks at; all else that a client may send
// (temperature and the like) is ignored.

// generation is a chat or a completion: one has messages, the other a prompt.
// It is one flat type since a part that is embedded would put its Go name into
// the field names of errors.
type generation struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *int      `json:"max_tokens"`
	MaxCompletionTokens *int      `json:"max_completion_tokens"` // the newer name of the same limit
	N                   *int      `json:"n"`
	Messages            []message `json:"messages"`
	Prompt              texts     `json:"prompt"`
}

type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

type embeddingRequest struct {
	Model          string `json:"model"`
	Input          texts  `json:"input"`
	Dimensions     *int   `json:"dimensions"`
	EncodingFormat string `json:"encoding_format"`
}

// read reads a chat or a completion, and refuses what the simulation can't do
// before any of it is begun.
func (g *generation) read(w *Worker, rw http.ResponseWriter, r *http.Request) error {
	if err := httpd.ReadJSON(rw, r, g, httpd.MaxPrompt); err != nil {
		return err
	}
	if err := w.serves(g.Model); err != nil {
		return err
	}
	if g.N != nil && *g.N != 1 {
		return httpd.InvalidField("n", "is %d, this worker gives 1 answer", *g.N)
	}
	if g.MaxTokens != nil && *g.MaxTokens < 1 {
		return httpd.InvalidField("max_tokens", "is %d, at least 1 is wanted", *g.MaxTokens)
	}
	if g.MaxCompletionTokens != nil && *g.MaxCompletionTokens < 1 {
		return httpd.InvalidField("max_completion_tokens", "is %d, at least 1 is wanted", *g.MaxCompletionTokens)
	}
	return nil
}

// limit is how many tokens the answer may have, nil for any number.
func (g *generation) limit() *int { return cmp.Or(g.MaxCompletionTokens, g.MaxTokens) }

// chatPrompt is what a chat asks: the last message of its user.
func (g *generation) chatPrompt() ([]prompt, error) {
	if len(g.Messages) == 0 {
		return nil, httpd.InvalidField("messages", "is empty, at least one message is wanted")
	}
	p := prompt{reply: disclaimer + " There was no user message."}
	for _, m := range g.Messages {
		p.tokens += len(tokenize(string(m.Content)))
		if m.Role == "user" {
			p.reply = disclaimer + " You said: " + string(m.Content)
		}
	}
	return []prompt{p}, nil
}

// completionPrompts is what a completion asks: each prompt gets an answer.
func (g *generation) completionPrompts() ([]prompt, error) {
	if len(g.Prompt) == 0 {
		return nil, httpd.InvalidField("prompt", "is empty, a string or a list of strings is wanted")
	}
	prompts := make([]prompt, len(g.Prompt))
	for i, text := range g.Prompt {
		prompts[i] = prompt{tokens: len(tokenize(text)), reply: disclaimer + " The prompt was: " + text}
	}
	return prompts, nil
}

// content is a message's text: a string, or a list of parts of which the text
// ones count.
type content string

func (c *content) UnmarshalJSON(body []byte) error {
	if body[0] != '[' {
		return json.Unmarshal(body, (*string)(c))
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return err
	}
	var said []string
	for _, p := range parts {
		if p.Type == "text" {
			said = append(said, p.Text)
		}
	}
	*c = content(strings.Join(said, "\n"))
	return nil
}

// texts is one string or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(body []byte) error {
	if body[0] == '[' {
		return json.Unmarshal(body, (*[]string)(t))
	}
	var one string
	if err := json.Unmarshal(body, &one); err != nil {
		return err
	}
	*t = texts{one}
	return nil
}
