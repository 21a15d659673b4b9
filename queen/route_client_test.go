package queen_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/worker"
)

// The official client, which nobody here wrote, takes the queen for OpenAI.
func TestTheOfficialClient(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	c.hire(worker.Config{Model: "tiny"})
	keep := &http.Transport{}
	t.Cleanup(keep.CloseIdleConnections)
	ai := openai.NewClient(option.WithBaseURL(c.url+"/v1"), option.WithAPIKey("any"), option.WithMaxRetries(0),
		option.WithHTTPClient(&http.Client{Transport: keep}))
	chat := openai.ChatCompletionNewParams{Model: "tiny", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}}

	models, err := ai.Models.List(t.Context())
	if err != nil || len(models.Data) != 1 || models.Data[0].ID != "tiny" {
		t.Errorf("the models are %+v, %v", models, err)
	}
	const want = "This is a simulation, no model was run. You said: hello"
	answer, err := ai.Chat.Completions.New(t.Context(), chat)
	if err != nil || answer.Choices[0].Message.Content != want {
		t.Errorf("the answer is %+v, %v", answer, err)
	}
	said := ""
	stream := ai.Chat.Completions.NewStreaming(t.Context(), chat)
	for stream.Next() {
		if choices := stream.Current().Choices; len(choices) > 0 {
			said += choices[0].Delta.Content
		}
	}
	if err := stream.Err(); err != nil || said != want {
		t.Errorf("the stream is %q, %v", said, err)
	}
	numbers, err := ai.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "tiny", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")},
	})
	if err != nil || len(numbers.Data[0].Embedding) != 256 {
		t.Errorf("the embedding is %+v, %v", numbers, err)
	}
}

// It has to raise an error where an answer is not whole, and the right one where there
// is none.
func TestTheOfficialClientHearsOfErrors(t *testing.T) {
	t.Parallel()
	c := holdCourt(t, queen.Config{})
	c.introduce(raw(t, "HTTP/1.1 200 OK\nContent-Type: text/event-stream\n\ndata: {\"choices\":[]}\n\n"))
	keep := &http.Transport{}
	t.Cleanup(keep.CloseIdleConnections)
	ai := openai.NewClient(option.WithBaseURL(c.url+"/v1"), option.WithAPIKey("any"), option.WithMaxRetries(0),
		option.WithHTTPClient(&http.Client{Transport: keep}))
	chat := openai.ChatCompletionNewParams{Model: "tiny", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}}
	stream := ai.Chat.Completions.NewStreaming(t.Context(), chat)
	chunks := 0
	for stream.Next() {
		chunks++
	}
	if err := stream.Err(); err == nil || !strings.Contains(err.Error(), "broke off") || chunks != 1 {
		t.Errorf("after %d chunks: %v", chunks, err)
	}
	chat.Model = "gone"
	_, err := ai.Chat.Completions.New(t.Context(), chat)
	var refused *openai.Error
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusNotFound || refused.Code != "model_not_found" ||
		refused.Param != "model" || !strings.Contains(refused.Message, "tiny") {
		t.Errorf("of a model that is not here: %v", err)
	}
}
