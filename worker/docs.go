package worker

import (
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/openai"
	"github.com/rbee-launch/rbee-launch/internal/openapi"
)

// What the document of the API says. The types here that no handler uses stand for what
// handlers read as one of several forms, or write piece by piece.

func info(models []httpd.Route) openapi.Info {
	return openapi.Info{
		Title: "llm-worker-rbee",
		Text: "A simulation of a model server: it runs no model. Of the OpenAI protocol, this is what it looks at in a request and what it " +
			"answers; all else that a client may send is ignored.",
		Also: models,
	}
}

func healthDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Whether the worker is ready", Gives: httpd.JSON(health{}),
		Also: map[int][]httpd.Body{http.StatusServiceUnavailable: httpd.JSON(health{})},
	}
}

func capabilitiesDoc() httpd.Doc {
	return httpd.Doc{Summary: "What the worker can do", Gives: httpd.JSON(capabilities{})}
}

const codeLoading, codeNoModel = "loading", "model_not_found"

// away are the refusals of what is about the model.
func away() map[int][]string {
	return map[int][]string{http.StatusNotFound: {codeNoModel}, http.StatusServiceUnavailable: {codeLoading}}
}

func modelsDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "List the one model", Gives: httpd.JSON(modelList{}), OpenAI: true,
		Refuses: map[int][]string{http.StatusServiceUnavailable: {codeLoading}},
	}
}

type modelName struct {
	ID string `path:"id" doc:"The model's name; it may have slashes in it."`
}

func modelDoc() httpd.Doc {
	return httpd.Doc{Summary: "The model, by its name", Asks: modelName{}, Gives: httpd.JSON(modelCard{}), Refuses: away(), OpenAI: true}
}

// chatRequest is a generation that is a chat.
type chatRequest struct {
	Model               string         `json:"model"`
	Messages            []chatMessage  `json:"messages"`
	Stream              bool           `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	MaxTokens           *int           `json:"max_tokens,omitempty" minimum:"1"`
	MaxCompletionTokens *int           `json:"max_completion_tokens,omitempty" minimum:"1" doc:"The newer name of max_tokens."`
	N                   *int           `json:"n,omitempty" minimum:"1" maximum:"1"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content any    `json:"content" doc:"A string, or a list of parts, of which those of the type text count."`
}

// completionRequest is a generation that is a completion.
type completionRequest struct {
	Model               string         `json:"model"`
	Prompt              any            `json:"prompt" doc:"A string, or a list of strings: each gets an answer."`
	Stream              bool           `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
	MaxTokens           *int           `json:"max_tokens,omitempty" minimum:"1"`
	MaxCompletionTokens *int           `json:"max_completion_tokens,omitempty" minimum:"1" doc:"The newer name of max_tokens."`
	N                   *int           `json:"n,omitempty" minimum:"1" maximum:"1"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage,omitempty" doc:"Whether a last event tells the usage."`
}

// embeddingsRequest is an embeddingRequest.
type embeddingsRequest struct {
	Model          string `json:"model"`
	Input          any    `json:"input" doc:"A string, or a list of up to 256."`
	Dimensions     *int   `json:"dimensions,omitempty" minimum:"1" maximum:"4096"`
	EncodingFormat string `json:"encoding_format,omitempty" enum:"float,base64"`
}

// The events of a stream.
type (
	pieceEvent struct {
		Data envelope `json:"data"`
	}
	doneEvent struct {
		Data string `json:"data" enum:"[DONE]"`
	}
	errorEvent struct {
		Data openai.Refusal `json:"data" doc:"Why the answer is cut; the connection is aborted then."`
	}
)

func generationDoc(what string, takes any) httpd.Doc {
	d := inferenceDoc(what, takes)
	d.Text = "With `stream` it comes as events, and the last of them is `[DONE]`, or an error."
	d.Gives = []httpd.Body{{Types: []any{envelope{}}}, {Media: "text/event-stream", Types: []any{pieceEvent{}, doneEvent{}, errorEvent{}}}}
	d.Refuses[http.StatusBadRequest] = []string{"context_length_exceeded"}
	d.Refuses[http.StatusServiceUnavailable] = append(d.Refuses[http.StatusServiceUnavailable], "stopping")
	return d
}

func embeddingsDoc() httpd.Doc {
	d := inferenceDoc("Embed texts", embeddingsRequest{})
	d.Gives = httpd.JSON(embeddingList{})
	return d
}

func inferenceDoc(what string, takes any) httpd.Doc {
	refuses := away()
	refuses[http.StatusInternalServerError] = []string{"simulated_failure", "internal"}
	return httpd.Doc{Summary: what, Takes: []any{takes}, Refuses: refuses, OpenAI: true}
}
