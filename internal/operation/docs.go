package operation

import (
	"net/http"

	"github.com/rbee-launch/rbee-launch/hive/client"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

func unknown() map[int][]string {
	return map[int][]string{http.StatusNotFound: {client.CodeUnknownOperation}}
}

func listDoc() httpd.Doc {
	return httpd.Doc{Summary: "List the operations, the newest first", Gives: httpd.JSON([]client.Operation{})}
}

func getDoc() httpd.Doc {
	return httpd.Doc{Summary: "How an operation stands", Gives: httpd.JSON(client.Operation{}), Refuses: unknown()}
}

func cancelDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Cancel an operation",
		Text:    "It ends soon, and has failed then. One that has ended already stays as it is: a worker is stopped as a worker.",
		Gives:   httpd.JSON(client.Operation{}), Refuses: unknown(),
	}
}

type following struct {
	Last   string `header:"Last-Event-ID" doc:"The id of the last event that was read; the stream goes on from there."`
	Follow bool   `query:"follow" doc:"Go on with what comes, as it does without this; false has the answer end with what there is."`
}

// Occurrence is an event of an operation as documents of APIs describe it.
type Occurrence struct {
	ID   string         `json:"id,omitempty" doc:"Its place, for Last-Event-ID; progress has none."`
	Data map[string]any `json:"data" doc:"What rbee-launch --json prints; its field event is leased, spawned, ready, registered, ..., or progress."`
}

// Standing is the first event of a stream, and the last.
type Standing struct {
	Event string           `json:"event" enum:"operation,end"`
	Data  client.Operation `json:"data"`
}

type farewell struct {
	Event string            `json:"event" enum:"bye"`
	Data  map[string]string `json:"data"`
}

// Events is the body of a stream.
func Events() httpd.Body {
	return httpd.Body{Media: "text/event-stream", Types: []any{Standing{}, Occurrence{}, farewell{}}}
}

func eventsDoc() httpd.Doc {
	return httpd.Doc{
		Summary: "Follow an operation",
		Text: "The stream begins with `operation`, how it stands; then come its events from the beginning, without a name; " +
			"it ends with `end`, how the operation has ended, or with `bye` when the server goes: come back then.",
		Asks: following{}, Gives: []httpd.Body{Events()}, Refuses: unknown(),
	}
}
