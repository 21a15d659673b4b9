package queen

import (
	"net/http"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

func modelsDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "List the models that online workers serve", Gives: httpd.JSON(modelList{}), OpenAI: true,
		Text: "By the name that a worker was registered with, and those that it tells of itself.",
	}
}

// nowhere are the refusals of what is about a model.
func nowhere() map[int][]string {
	return map[int][]string{http.StatusNotFound: {codeNoModel}, http.StatusServiceUnavailable: {codeNoneOnline}}
}

type modelName struct {
	ID string `path:"id" doc:"The model's name; it may have slashes in it."`
}

func modelDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "One model, if an online worker serves it", Asks: modelName{}, Gives: httpd.JSON(model{}), Refuses: nowhere(), OpenAI: true,
	}
}

// relayed is one event of a worker's stream, whatever that is.
type relayed struct {
	Data any `json:"data"`
}

func routedDoc(what string) httpd.Doc {
	refuses := nowhere()
	refuses[http.StatusBadRequest] = []string{codeModelNeeded}
	refuses[http.StatusBadGateway] = []string{codeUnreachable, codeFailed}
	refuses[http.StatusServiceUnavailable] = append(refuses[http.StatusServiceUnavailable], codeStopping)
	refuses[http.StatusGatewayTimeout] = []string{codeSlow}
	refuses[http.StatusLoopDetected] = []string{codeLoop}
	refuses[http.StatusRequestTimeout] = []string{"body_too_slow"}
	return httpd.Doc{
		Summary: what + ", by a worker that serves the model",
		Text: "Request and answer are the worker's, errors too; the queen reads the model's name alone. Of the online workers that serve it, the one " +
			"with the fewest requests is asked. A stream that is cut ends with an event that has an `error`, and an aborted connection.",
		Takes:   []any{asked{}},
		Gives:   []httpd.Body{{Types: []any{map[string]any{}}}, {Media: eventStream, Types: []any{relayed{}}}},
		Headers: map[string]string{workerID: "The id of the worker that answers.", requestID: "The request's own, else one that was made."},
		Refuses: refuses, OpenAI: true, Relays: true,
	}
}
